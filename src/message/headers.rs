//! A header map that keeps order and repeats.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// Header entries in order. Names are compared without regard to ASCII case.
///
/// A clone shares the entries until one of the two is changed: a head passes through many hands, and few of them write.
#[derive(Clone, Default)]
pub struct Headers(Option<Arc<Vec<Entry>>>);

type Entry = (Bytes, Bytes);

/// Whether two names are the same: most that are differ in no letter, and most that are not in their length.
pub fn same_name(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (a == b || a.eq_ignore_ascii_case(b))
}

impl Headers {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    fn entries_mut(&mut self) -> &mut Vec<Entry> {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// Number of entries, repeats counted one by one.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    /// Names and values together, in bytes.
    pub fn byte_size(&self) -> usize {
        self.entries().iter().map(|(k, v)| k.len() + v.len()).sum()
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Bytes, &Bytes)> + Clone {
        self.entries().iter().map(|(k, v)| (k, v))
    }

    /// The first value of a name.
    pub fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.entries().iter().find(|(k, _)| same_name(k, name)).map(|(_, v)| v)
    }

    /// All values of a name, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a Bytes> {
        self.entries().iter().filter(move |(k, _)| same_name(k, name)).map(|(_, v)| v)
    }

    /// Appends an entry, whether or not the name is there. Pseudo headers stay before all others.
    pub fn append(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        let entries = self.entries_mut();
        if name.starts_with(b":") {
            let at = entries.iter().take_while(|(k, _)| k.starts_with(b":")).count();
            entries.insert(at, (name, value));
        } else {
            entries.push((name, value));
        }
    }

    /// Leaves exactly one entry of the name, at the end; a pseudo header at the end of the pseudo headers.
    pub fn replace(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let name = name.into();
        self.remove(&name);
        self.append(name, value);
    }

    /// Leaves exactly one entry of the name, where the first one stood, or at the end.
    pub fn put(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        let mut value = Some(value);
        let write = |(k, mut v): Entry| -> Option<Entry> {
            if same_name(&k, &name) {
                v = value.take()?;
            }
            Some((k, v))
        };
        if self.get(&name).is_some() {
            let entries = std::mem::take(self.entries_mut());
            *self.entries_mut() = entries.into_iter().filter_map(write).collect();
        } else if let Some(value) = value {
            self.append(name, value);
        }
    }

    /// Appends to the value of the first entry of the name, behind a comma, or appends an entry. Gives the length
    /// of the value as it is then.
    pub fn join(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) -> usize {
        let (name, value) = (name.into(), value.into());
        match self.entries_mut().iter_mut().find(|(k, _)| same_name(k, &name)) {
            Some((_, old)) => {
                *old = [&old[..], b",", &value[..]].concat().into();
                old.len()
            }
            None => {
                let length = value.len();
                self.append(name, value);
                length
            }
        }
    }

    /// Removes every entry of the name; says how many there were.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        let count = self.get_all(name).count();
        if count > 0 {
            self.entries_mut().retain(|(k, _)| !same_name(k, name));
        }
        count
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.entries() == other.entries()
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Headers").field(&self.entries()).finish()
    }
}

impl FromIterator<(Bytes, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(pairs: I) -> Self {
        let entries: Vec<Entry> = pairs.into_iter().collect();
        Self((!entries.is_empty()).then(|| Arc::new(entries)))
    }
}

impl IntoIterator for Headers {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.map(Arc::unwrap_or_clone).unwrap_or_default().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> Headers {
        pairs.iter().map(|(k, v)| (Bytes::from(*k), Bytes::from(*v))).collect()
    }

    #[test]
    fn replace_leaves_one_entry_at_the_end() {
        let mut headers = map(&[("a", "1"), ("b", "2"), ("A", "3"), ("c", "4")]);
        headers.replace("a", "9");
        assert_eq!(headers, map(&[("b", "2"), ("c", "4"), ("a", "9")]));
    }

    #[test]
    fn put_leaves_one_entry_where_the_first_one_stood() {
        let mut headers = map(&[("a", "1"), ("b", "2"), ("A", "3"), ("c", "4")]);
        headers.put("A", "9");
        headers.put("d", "5");
        assert_eq!(headers, map(&[("a", "9"), ("b", "2"), ("c", "4"), ("d", "5")]));
    }

    #[test]
    fn a_clone_is_not_changed_with_the_original() {
        let mut headers = map(&[("a", "1"), ("b", "2")]);
        let before = headers.clone();
        headers.remove(b"a");
        headers.append("c", "3");
        assert_eq!(before, map(&[("a", "1"), ("b", "2")]));
        assert_eq!(headers, map(&[("b", "2"), ("c", "3")]));
        headers.clear();
        assert_eq!(headers, Headers::new());
        assert_eq!(before.into_iter().count(), 2);
    }

    #[test]
    fn pseudo_headers_stay_in_front() {
        let mut headers = map(&[(":path", "/"), (":method", "GET"), ("a", "1")]);
        headers.replace(":path", "/b");
        assert_eq!(headers, map(&[(":method", "GET"), (":path", "/b"), ("a", "1")]));
    }

    #[test]
    fn get_gives_the_first_and_ignores_case() {
        let headers = map(&[("X-A", "1"), ("x-a", "2")]);
        assert_eq!(headers.get(b"x-a").map(|v| &v[..]), Some(&b"1"[..]));
        assert_eq!(headers.get_all(b"x-a").count(), 2);
    }
}
