//! What the references say each host can answer: the statuses of every hostcall, and the callbacks that are called.
//!
//! The rows say how a hostcall looks and the profiles what pwtest does; this says what there is to be seen, so that
//! `pwtest run --coverage` can tell what a suite has not reached, and `pwtest check` what will not work. It is
//! written from abi.md section 3 and what Envoy 1.40 did (`ENVOY.md` below `t/hostcalls`), not from our handlers.

use crate::abi::{ALL_CALLBACKS, Callback, Status};

macro_rules! statuses {
    ($($name:ident: $($status:ident)+;)+) => {
        &[$((stringify!($name), &[$(Status::$status),+]),)+]
    };
}

macro_rules! errnos {
    ($($name:ident: $($errno:literal)+;)+) => { &[$((stringify!($name), &[$($errno),+]),)+] };
}

mod apisix;
mod envoy;
mod spec;

pub(super) use apisix::APISIX;
pub(super) use envoy::ENVOY;
pub(super) use spec::SPEC;

/// What a host can answer, by its references.
#[derive(Debug)]
pub struct Documented {
    /// The host that it is like, other than where something is listed here.
    like: Option<&'static Documented>,
    /// The hostcalls that it defines, with the statuses that each can return.
    statuses: &'static [(&'static str, &'static [Status])],
    /// Hostcalls that return OK and do nothing.
    dummies: &'static [&'static str],
    /// The errnos of WASI functions, where the host does not leave them to a whole WASI.
    errnos: &'static [(&'static str, &'static [u16])],
    /// Callbacks that it calls only when the plugin has set a property, and which (apisix.md 0, fact 9).
    pub body_properties: &'static [(Callback, &'static str)],
    /// The callbacks that it calls.
    callbacks: &'static [Callback],
}

/// How far a host supports a hostcall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does what the specification says, more or less.
    Works,
    /// It returns OK and does nothing.
    Dummy,
    /// It returns UNIMPLEMENTED.
    Unimplemented,
    /// A module that imports it does not load.
    Undefined,
}

impl Documented {
    /// The statuses of a hostcall; empty where the host does not define it.
    pub fn statuses(&self, name: &str) -> &'static [Status] {
        let found = self.statuses.iter().find(|(hostcall, _)| *hostcall == name);
        match (found, self.like) {
            (Some((_, statuses)), _) => statuses,
            (None, Some(like)) => like.statuses(name),
            (None, None) => &[],
        }
    }

    /// The errnos of a WASI function, where they are written down.
    pub fn errnos(&self, name: &str) -> &'static [u16] {
        let found = self.errnos.iter().find(|(function, _)| *function == name);
        found.map(|(_, errnos)| *errnos).unwrap_or_default()
    }

    /// How far a hostcall is supported.
    pub fn support(&self, name: &str) -> Support {
        match self.statuses(name) {
            [] => Support::Undefined,
            [Status::Unimplemented] => Support::Unimplemented,
            _ if self.dummies.contains(&name) => Support::Dummy,
            _ => Support::Works,
        }
    }

    /// Whether the host calls a callback.
    pub fn calls(&self, callback: Callback) -> bool {
        self.callbacks.contains(&callback) || self.like.is_some_and(|like| like.calls(callback))
    }

    /// The callbacks that it calls.
    pub fn callbacks(&self) -> impl Iterator<Item = Callback> {
        ALL_CALLBACKS.iter().copied().filter(|callback| self.calls(*callback))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::hostcalls;
    use crate::host::profile;

    /// The hostcalls of the ABI: what is imported from `env` and belongs to a version.
    fn hostcalls() -> Vec<&'static str> {
        hostcalls::rows().filter(|row| !row.versions.is_empty()).map(|row| row.name).collect()
    }

    #[test]
    fn every_hostcall_has_its_statuses() {
        for documented in [&SPEC, &ENVOY] {
            for name in hostcalls() {
                assert!(!documented.statuses(name).is_empty(), "{name}");
            }
        }
        // apisix.md section 4: three are absent.
        let absent = ["proxy_get_log_level", "proxy_get_buffer_status", "proxy_get_header_map_size"];
        for name in hostcalls() {
            assert_eq!(APISIX.support(name) == Support::Undefined, absent.contains(&name), "{name}");
        }
    }

    #[test]
    fn nothing_is_listed_twice_or_unknown() {
        for profile in profile::ALL {
            let documented = profile.documented;
            for (at, (name, statuses)) in documented.statuses.iter().enumerate() {
                assert!(hostcalls().contains(name), "{name}");
                assert!(documented.statuses.iter().skip(at + 1).all(|(other, _)| other != name), "{name}");
                assert!(statuses.windows(2).all(|pair| pair[0] < pair[1]), "{name}: in the order of their numbers");
            }
            if let Some(like) = documented.like {
                let other = |(name, statuses): &(&str, &[Status])| like.statuses(name) != *statuses;
                assert!(documented.statuses.iter().all(other), "what is the same is not listed");
            }
            for name in documented.dummies {
                assert_eq!(documented.statuses(name), [Status::Ok], "{name}");
            }
            for (name, _) in documented.errnos {
                let wasi = hostcalls::rows().any(|row| row.name == *name && row.versions.is_empty());
                assert!(wasi, "{name}");
            }
        }
    }
}
