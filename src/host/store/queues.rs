//! Shared queues: first in, first out, ids from 1, and an owner that is told of every message.

use crate::abi::{ContextId, QueueId, Status, VmIndex};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// All queues.
#[derive(Debug, Default)]
pub struct Queues {
    queues: Vec<Queue>,
    /// VM id and name to the place in the list.
    names: HashMap<(Bytes, Bytes), usize>,
}

#[derive(Debug)]
struct Queue {
    owner: (VmIndex, ContextId),
    messages: VecDeque<Bytes>,
}

impl Queues {
    /// The queue of this name; the one who registers last is the owner.
    pub fn register(&mut self, vm_id: &[u8], name: &[u8], owner: (VmIndex, ContextId)) -> QueueId {
        match self.position(vm_id, name) {
            Some(at) => {
                self.queues[at].owner = owner;
                QueueId(at as u32 + 1)
            }
            None => {
                let name = (Bytes::copy_from_slice(vm_id), Bytes::copy_from_slice(name));
                self.names.insert(name, self.queues.len());
                self.queues.push(Queue { owner, messages: VecDeque::new() });
                QueueId(self.queues.len() as u32)
            }
        }
    }

    /// The queue of this name, if it has been registered.
    pub fn resolve(&self, vm_id: &[u8], name: &[u8]) -> Option<QueueId> {
        self.position(vm_id, name).map(|at| QueueId(at as u32 + 1))
    }

    /// Appends a message; gives the owner to tell.
    pub fn enqueue(&mut self, id: QueueId, message: &[u8]) -> Result<(VmIndex, ContextId), Status> {
        let queue = self.get(id)?;
        queue.messages.push_back(Bytes::copy_from_slice(message));
        Ok(queue.owner)
    }

    /// Takes the oldest message.
    pub fn dequeue(&mut self, id: QueueId) -> Result<Bytes, Status> {
        self.get(id)?.messages.pop_front().ok_or(Status::Empty)
    }

    fn position(&self, vm_id: &[u8], name: &[u8]) -> Option<usize> {
        self.names.get(&(Bytes::copy_from_slice(vm_id), Bytes::copy_from_slice(name))).copied()
    }

    fn get(&mut self, id: QueueId) -> Result<&mut Queue, Status> {
        let at = (id.0 as usize).checked_sub(1).ok_or(Status::NotFound)?;
        self.queues.get_mut(at).ok_or(Status::NotFound)
    }
}
