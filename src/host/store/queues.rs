//! Shared queues: first in, first out, ids from 1, and an owner that is told of every message.

use super::{ENTRY, HostId, MOST_BYTES};
use crate::abi::{ContextId, QueueId, Status, VmIndex};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// All queues.
#[derive(Debug)]
pub struct Queues {
    queues: Vec<Queue>,
    /// VM id and name to the place in the list.
    names: HashMap<(Bytes, Bytes), usize>,
    /// Bytes that can still be taken.
    free: usize,
}

/// Who is told of a queue's messages: a root context of a VM of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The host, which may run on another thread than the one that sent the message.
    pub host: HostId,
    /// The VM in that host.
    pub vm: VmIndex,
    /// The context in that VM.
    pub root: ContextId,
}

#[derive(Debug)]
struct Queue {
    /// None where it is gone and nobody has taken the queue over.
    owner: Option<Owner>,
    messages: VecDeque<Bytes>,
}

impl Default for Queues {
    fn default() -> Self {
        Self { queues: Vec::new(), names: HashMap::new(), free: MOST_BYTES }
    }
}

impl Queues {
    /// The queue of this name; the one who registers last is the owner.
    pub fn register(&mut self, vm_id: &[u8], name: &[u8], owner: Owner) -> Result<QueueId, Status> {
        if let Some(at) = self.position(vm_id, name) {
            if let Some(queue) = self.queues.get_mut(at) {
                queue.owner = Some(owner);
            }
            return id(at);
        }
        let size = vm_id.len().saturating_add(name.len()).saturating_add(2 * ENTRY);
        let free = self.free.checked_sub(size).ok_or(Status::InternalFailure)?;
        let at = self.queues.len();
        let given = id(at)?;
        self.free = free;
        self.names.insert((Bytes::copy_from_slice(vm_id), Bytes::copy_from_slice(name)), at);
        self.queues.push(Queue { owner: Some(owner), messages: VecDeque::new() });
        Ok(given)
    }

    /// The queue of this name, if it has been registered.
    pub fn resolve(&self, vm_id: &[u8], name: &[u8]) -> Option<QueueId> {
        id(self.position(vm_id, name)?).ok()
    }

    /// Appends a message; gives the owner to tell, if there still is one.
    pub fn enqueue(&mut self, id: QueueId, message: &[u8]) -> Result<Option<Owner>, Status> {
        let free = self.free.checked_sub(message.len().saturating_add(ENTRY));
        let queue = self.get(id)?;
        // A queue that nobody empties would grow for ever.
        let free = free.ok_or(Status::InternalFailure)?;
        queue.messages.push_back(Bytes::copy_from_slice(message));
        let owner = queue.owner;
        self.free = free;
        Ok(owner)
    }

    /// Takes the oldest message.
    pub fn dequeue(&mut self, id: QueueId) -> Result<Bytes, Status> {
        let message = self.get(id)?.messages.pop_front().ok_or(Status::Empty)?;
        self.free = self.free.saturating_add(message.len().saturating_add(ENTRY));
        Ok(message)
    }

    /// Owners that are gone are not told any more; the messages stay for whoever comes next.
    pub fn forget(&mut self, gone: impl Fn(&Owner) -> bool) {
        for queue in &mut self.queues {
            if queue.owner.as_ref().is_some_and(&gone) {
                queue.owner = None;
            }
        }
    }

    fn position(&self, vm_id: &[u8], name: &[u8]) -> Option<usize> {
        self.names.get(&(Bytes::copy_from_slice(vm_id), Bytes::copy_from_slice(name))).copied()
    }

    fn get(&mut self, id: QueueId) -> Result<&mut Queue, Status> {
        let at = (id.0 as usize).checked_sub(1).ok_or(Status::NotFound)?;
        self.queues.get_mut(at).ok_or(Status::NotFound)
    }
}

fn id(at: usize) -> Result<QueueId, Status> {
    let number = u32::try_from(at).ok().and_then(|at| at.checked_add(1));
    number.map(QueueId).ok_or(Status::InternalFailure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(host: u32) -> Owner {
        Owner { host: HostId(host), vm: VmIndex(0), root: ContextId(1) }
    }

    // abi.md 8.4.
    #[test]
    fn first_in_first_out_and_the_last_who_registers_is_told() {
        let mut queues = Queues::default();
        let id = queues.register(b"", b"q", owner(1)).expect("new");
        assert_eq!(id, QueueId(1));
        assert_eq!(queues.enqueue(id, b"a"), Ok(Some(owner(1))));
        assert_eq!(queues.register(b"", b"q", owner(2)), Ok(id));
        assert_eq!(queues.enqueue(id, b"b"), Ok(Some(owner(2))));
        assert_eq!(queues.resolve(b"", b"q"), Some(id));
        assert_eq!(queues.resolve(b"other", b"q"), None);
        queues.forget(|owner| owner.host == HostId(2));
        assert_eq!(queues.enqueue(id, b"c"), Ok(None));
        for message in ["a", "b", "c"] {
            assert_eq!(queues.dequeue(id), Ok(Bytes::from(message)));
        }
        assert_eq!(queues.dequeue(id), Err(Status::Empty));
        assert_eq!(queues.enqueue(QueueId(9), b""), Err(Status::NotFound));
        assert_eq!(queues.dequeue(QueueId(0)), Err(Status::NotFound));
    }

    #[test]
    fn a_queue_that_nobody_empties_comes_to_an_end() {
        let mut queues = Queues { free: 4 * ENTRY + 1, ..Queues::default() };
        let id = queues.register(b"", b"q", owner(1)).expect("new");
        for _ in 0..2 {
            queues.enqueue(id, b"").expect("there is room");
        }
        assert_eq!(queues.enqueue(id, b""), Err(Status::InternalFailure));
        assert_eq!(queues.register(b"", b"r", owner(1)), Err(Status::InternalFailure));
        queues.dequeue(id).expect("one less");
        queues.enqueue(id, b"").expect("the room of that");
    }
}
