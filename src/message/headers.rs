//! A header map that keeps order and repeats.

use bytes::Bytes;

/// Header entries in order. Names are compared without regard to ASCII case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Bytes, Bytes)>);

impl Headers {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries, repeats counted one by one.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values together, in bytes.
    pub fn byte_size(&self) -> usize {
        self.0.iter().map(|(k, v)| k.len() + v.len()).sum()
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Bytes, &Bytes)> + Clone {
        self.0.iter().map(|(k, v)| (k, v))
    }

    /// The first value of a name.
    pub fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.0.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// All values of a name, in order.
    pub fn get_all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a Bytes> {
        self.0.iter().filter(move |(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// Appends an entry, whether or not the name is there. Pseudo headers stay before all others.
    pub fn append(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        if name.starts_with(b":") {
            let at = self.0.iter().take_while(|(k, _)| k.starts_with(b":")).count();
            self.0.insert(at, (name, value));
        } else {
            self.0.push((name, value));
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
        let Some(at) = self.0.iter().position(|(k, _)| k.eq_ignore_ascii_case(&name)) else {
            self.append(name, value);
            return;
        };
        self.0[at].1 = value;
        let mut place = 0;
        self.0.retain(|(k, _)| {
            place += 1;
            place - 1 <= at || !k.eq_ignore_ascii_case(&name)
        });
    }

    /// Appends to the value of the first entry of the name, behind a comma, or appends an entry. Gives the length
    /// of the value as it is then.
    pub fn join(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) -> usize {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(k, _)| k.eq_ignore_ascii_case(&name)) {
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
        let before = self.0.len();
        self.0.retain(|(k, _)| !k.eq_ignore_ascii_case(name));
        before - self.0.len()
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl FromIterator<(Bytes, Bytes)> for Headers {
    fn from_iter<I: IntoIterator<Item = (Bytes, Bytes)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl IntoIterator for Headers {
    type Item = (Bytes, Bytes);
    type IntoIter = std::vec::IntoIter<(Bytes, Bytes)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
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
