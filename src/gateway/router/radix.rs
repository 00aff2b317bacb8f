//! A radix tree: what of many prefixes a text begins with, the longest first, in one walk down and without allocating.

/// Values by prefix.
#[derive(Debug, Clone)]
pub struct Radix<V> {
    nodes: Vec<Node<V>>,
}

#[derive(Debug, Clone)]
struct Node<V> {
    /// What leads here from the parent.
    label: Box<[u8]>,
    parent: Option<usize>,
    /// By the first byte of their labels.
    children: Vec<(u8, usize)>,
    value: Option<V>,
}

impl<V> Node<V> {
    fn new(label: &[u8], parent: Option<usize>) -> Self {
        Self { label: label.into(), parent, children: Vec::new(), value: None }
    }

    fn child(&self, first: u8) -> Option<usize> {
        let at = self.children.binary_search_by_key(&first, |(byte, _)| *byte).ok()?;
        self.children.get(at).map(|(_, node)| *node)
    }

    fn adopt(&mut self, first: u8, node: usize) {
        match self.children.binary_search_by_key(&first, |(byte, _)| *byte) {
            Ok(at) => self.children[at].1 = node,
            Err(at) => self.children.insert(at, (first, node)),
        }
    }
}

impl<V> Default for Radix<V> {
    fn default() -> Self {
        Self { nodes: vec![Node::new(b"", None)] }
    }
}

impl<V: Default> Radix<V> {
    /// The value of a prefix, made if there is none.
    pub fn entry(&mut self, prefix: &[u8]) -> &mut V {
        let at = self.place(prefix);
        self.nodes[at].value.get_or_insert_default()
    }

    /// The node of a prefix, made if there is none.
    fn place(&mut self, prefix: &[u8]) -> usize {
        let (mut at, mut rest) = (0, prefix);
        while let Some(first) = rest.first() {
            let Some(child) = self.nodes[at].child(*first) else {
                return self.add(at, *first, rest);
            };
            let label = &self.nodes[child].label;
            let shared = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if shared < label.len() {
                self.split(at, child, *first, shared);
                at = self.nodes.len() - 1;
            } else {
                at = child;
            }
            rest = &rest[shared..];
        }
        at
    }

    fn add(&mut self, parent: usize, first: u8, label: &[u8]) -> usize {
        let node = self.nodes.len();
        self.nodes.push(Node::new(label, Some(parent)));
        self.nodes[parent].adopt(first, node);
        node
    }

    /// Puts a node between a parent and its child, after so many bytes of the child's label.
    fn split(&mut self, parent: usize, child: usize, first: u8, after: usize) {
        let (upper, lower) = self.nodes[child].label.split_at(after);
        let (upper, lower): (Box<[u8]>, Box<[u8]>) = (upper.into(), lower.into());
        let middle = self.add(parent, first, &upper);
        if let Some(next) = lower.first() {
            self.nodes[middle].adopt(*next, child);
        }
        self.nodes[child].label = lower;
        self.nodes[child].parent = Some(middle);
    }
}

impl<V> Radix<V> {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| node.value.is_none())
    }

    /// The values of all prefixes that a text begins with, the longest first.
    pub fn prefixes_of(&self, text: &[u8]) -> impl Iterator<Item = &V> {
        let (mut at, mut rest) = (0, text);
        while let Some(first) = rest.first()
            && let Some(child) = self.nodes.get(at).and_then(|node| node.child(*first))
            && let Some(after) = self.nodes.get(child).and_then(|node| rest.strip_prefix(&*node.label))
        {
            (at, rest) = (child, after);
        }
        let mut next = Some(at);
        std::iter::from_fn(move || {
            let node = self.nodes.get(next?)?;
            next = node.parent;
            Some(node.value.as_ref())
        })
        .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as looking at every prefix.
        #[test]
        fn it_finds_what_a_scan_finds(prefixes in prop::collection::vec("[ab/]{0,6}", 0..40), text in "[ab/]{0,10}") {
            let mut tree: Radix<Vec<String>> = Radix::default();
            for prefix in &prefixes {
                tree.entry(prefix.as_bytes()).push(prefix.clone());
            }
            let mut scanned: Vec<&String> = prefixes.iter().filter(|prefix| text.starts_with(*prefix)).collect();
            scanned.sort_by_key(|prefix| std::cmp::Reverse(prefix.len()));
            let found: Vec<&String> = tree.prefixes_of(text.as_bytes()).flatten().collect();
            prop_assert_eq!(found, scanned);
        }
    }
}
