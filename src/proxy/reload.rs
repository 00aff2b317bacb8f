//! Which files have changed, by looking at them again and again, as APISIX does (apisix.md 7.6).
//!
//! No system's notices: they differ, they miss network file systems, and a look costs next to nothing. A file counts
//! as changed when it is not what was taken last and has been the same for one further look, so that one which is
//! still being written is left alone. One that is gone is none: editors and compilers take files away for a moment.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Time between two looks: a change is noticed within two of them.
pub const EVERY: Duration = Duration::from_millis(500);

/// What tells one version of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Another file of the same name is another version, even where time and length are equal.
    inode: u64,
}

impl Stamp {
    /// Of a file; none where there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok().filter(|metadata| !metadata.is_dir())?;
        Some(Self { modified: metadata.modified().ok(), length: metadata.len(), inode: inode(&metadata) })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// Files that are looked at.
#[derive(Debug, Default)]
pub struct Watch {
    files: BTreeMap<PathBuf, Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    /// What is in use, or was found not to be usable.
    taken: Option<Stamp>,
    /// What was there at the last look.
    seen: Option<Stamp>,
}

impl Watch {
    /// Looks at these files from now on, and at no others. Files that were looked at before count as taken as they were
    /// then. To be called before the others are read: what changes while they are read is a change.
    pub fn set(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.set_by(files, Stamp::of);
    }

    /// Takes all files as they are now, for whoever is going to read them.
    pub fn take(&mut self) {
        for (file, watched) in &mut self.files {
            let now = Stamp::of(file);
            *watched = Watched { taken: now, seen: now };
        }
    }

    /// Looks, and gives the files that have changed and come to rest. They count as taken.
    pub fn look(&mut self) -> Vec<PathBuf> {
        self.look_by(Stamp::of)
    }

    fn set_by(&mut self, files: impl IntoIterator<Item = PathBuf>, stamp: impl Fn(&Path) -> Option<Stamp>) {
        let mut old = std::mem::take(&mut self.files);
        for file in files {
            // Two plugins may be of one file.
            if let Entry::Vacant(place) = self.files.entry(file) {
                let watched = old.remove(place.key()).unwrap_or_else(|| {
                    let now = stamp(place.key());
                    Watched { taken: now, seen: now }
                });
                place.insert(watched);
            }
        }
    }

    fn look_by(&mut self, stamp: impl Fn(&Path) -> Option<Stamp>) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (file, watched) in &mut self.files {
            let now = stamp(file);
            let rests = now == watched.seen;
            watched.seen = now;
            if now.is_some() && now != watched.taken && rests {
                watched.taken = now;
                changed.push(file.clone());
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(version: u64) -> Option<Stamp> {
        (version > 0).then_some(Stamp { modified: None, length: version, inode: 1 })
    }

    /// What each look gives, for versions of one file; 0 is no file. The first one is in use.
    fn looks(versions: &[u64]) -> Vec<bool> {
        let mut watch = Watch::default();
        let (first, rest) = versions.split_first().expect("one at least");
        watch.set_by([PathBuf::from("a")], |_| stamp(*first));
        rest.iter().map(|version| !watch.look_by(|_| stamp(*version)).is_empty()).collect()
    }

    #[test]
    fn a_change_counts_when_it_has_come_to_rest() {
        assert_eq!(looks(&[1, 1, 1]), [false, false]);
        assert_eq!(looks(&[1, 2, 2, 2]), [false, true, false]);
        // It is still being written.
        assert_eq!(looks(&[1, 2, 3, 4, 4]), [false, false, false, true]);
        // It goes away and comes back, as it was or new.
        assert_eq!(looks(&[1, 0, 0, 1, 1]), [false, false, false, false]);
        assert_eq!(looks(&[1, 0, 0, 2, 2]), [false, false, false, true]);
        assert_eq!(looks(&[0, 0, 2, 2]), [false, false, true]);
        // Back to what is in use.
        assert_eq!(looks(&[1, 2, 1, 1]), [false, false, false]);
    }

    #[test]
    fn a_file_that_was_replaced_by_its_like_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.wasm");
        std::fs::write(&path, "one").expect("a file");
        let mut watch = Watch::default();
        watch.set([path.clone(), folder.path().join("none")]);
        assert!(watch.look().is_empty());
        let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
        let other = folder.path().join("b");
        std::fs::write(&other, "two").expect("a file");
        std::fs::File::options().write(true).open(&other).and_then(|f| f.set_modified(modified)).expect("a time");
        std::fs::rename(&other, &path).expect("moved");
        assert!(watch.look().is_empty());
        assert_eq!(watch.look(), [path]);
    }

    #[test]
    fn what_changes_between_two_settings_is_a_change() {
        let mut watch = Watch::default();
        watch.set_by([PathBuf::from("a")], |_| stamp(1));
        watch.set_by([PathBuf::from("a"), PathBuf::from("b"), PathBuf::from("a")], |_| stamp(2));
        assert!(watch.look_by(|_| stamp(2)).is_empty());
        assert_eq!(watch.look_by(|_| stamp(2)), [PathBuf::from("a")]);
        watch.set_by([PathBuf::from("b")], |_| stamp(3));
        assert_eq!(watch.look_by(|_| stamp(2)), Vec::<PathBuf>::new());
    }
}
