//! 7.2, 1.3 and 5.2; texts from there, or from APISIX's own tests of its admin API.

mod objects;
mod property;
mod refusals;

use super::*;
use crate::gateway::config::samples::plugins;

const NOW: u64 = 1_700_000_000;

fn resources() -> Resources {
    Resources::new(plugins())
}

struct Ask<'a> {
    resources: &'a mut Resources,
    keys: Vec<AdminKey>,
    headers: Headers,
    client: IpAddr,
    now: u64,
}

impl<'a> Ask<'a> {
    fn new(resources: &'a mut Resources) -> Self {
        Self { resources, keys: Vec::new(), headers: Headers::new(), client: [127, 0, 0, 1].into(), now: NOW }
    }

    fn send(&mut self, line: &str, body: &str) -> AdminReply {
        let (method, target) = line.split_once(' ').expect("a method and a target");
        let request = AdminRequest {
            method,
            target,
            headers: &self.headers,
            body: body.as_bytes(),
            now: self.now,
            keys: &self.keys,
            allowed: &Allowed::default(),
            client: self.client,
        };
        handle(self.resources, &request)
    }
}

fn ask(resources: &mut Resources, line: &str, body: &str) -> (u16, Value) {
    let reply = Ask::new(resources).send(line, body);
    let text = String::from_utf8(reply.body.to_vec()).expect("text");
    assert!(text.ends_with('\n'), "JSON ends with a line break: {text:?}");
    (reply.status, serde_json::from_str(&text).expect("JSON"))
}

/// The `error_msg` of a refusal.
fn refused(resources: &mut Resources, line: &str, body: &str) -> (u16, String) {
    let before = resources.clone();
    let (status, json) = ask(resources, line, body);
    assert_eq!(*resources, before, "what is refused changes nothing");
    (status, json["error_msg"].as_str().expect("an error_msg").to_owned())
}

const ROUTE: &str = r#"{"uri":"/hello","upstream":{"type":"roundrobin","nodes":{"127.0.0.1:1980":1}}}"#;
