//! Who may ask: addresses (`deployment.admin.allow_admin`) and keys (`deployment.admin.admin_key`).

use super::AdminRequest;
use super::target::Target;
use crate::gateway::address::Addresses;
use std::net::IpAddr;

/// A key of the admin API.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminKey {
    /// Whose it is.
    pub name: String,
    /// What is sent in `X-API-KEY`.
    pub key: String,
    /// What may be done with it.
    pub role: Role,
}

impl std::fmt::Debug for AdminKey {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminKey").field("name", &self.name).field("role", &self.role).finish_non_exhaustive()
    }
}

/// What may be done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything.
    Admin,
    /// `GET`.
    Viewer,
}

/// The addresses that may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// All of them: what `allow_admin: []` says.
    Everybody,
    /// These.
    These(Addresses),
}

impl Default for Allowed {
    /// APISIX's 127.0.0.0/24, and the same in IPv6.
    fn default() -> Self {
        Self::parse(["127.0.0.0/24", "::1"]).unwrap_or(Self::These(Addresses::default()))
    }
}

impl Allowed {
    /// Reads addresses and networks: `127.0.0.0/24`, `::1`. None at all is everybody.
    pub fn parse<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut networks = networks.into_iter().peekable();
        if networks.peek().is_none() {
            return Ok(Self::Everybody);
        }
        Addresses::parse(networks).map(Self::These)
    }

    /// Whether a client may ask.
    pub fn admits(&self, client: IpAddr) -> bool {
        match self {
            Self::Everybody => true,
            Self::These(networks) => networks.contains(client),
        }
    }
}

/// Looks for the key where APISIX does: an argument, a header, a cookie.
pub(super) fn check(request: &AdminRequest, target: &Target) -> Result<(), &'static str> {
    if request.keys.is_empty() {
        return Ok(());
    }
    let sent = target
        .raw_argument("api_key")
        .map(str::as_bytes)
        .or_else(|| request.headers.get(b"x-api-key").map(|value| &value[..]))
        .or_else(|| cookie(request, b"x_api_key"));
    let Some(sent) = sent else { return Err("missing apikey") };
    let Some(key) = request.keys.iter().find(|key| key.key.as_bytes() == sent) else { return Err("wrong apikey") };
    match key.role {
        Role::Viewer if request.method != "GET" => Err("invalid method for role viewer"),
        Role::Viewer | Role::Admin => Ok(()),
    }
}

fn cookie<'a>(request: &AdminRequest<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let headers = request.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(b"cookie"));
    headers.flat_map(|(_, value)| value.split(|byte| matches!(byte, b';' | b','))).find_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (key, value) = pair.split_at(at);
        key.eq_ignore_ascii_case(name).then(|| value.get(1..)).flatten()
    })
}
