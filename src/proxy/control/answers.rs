//! What the admin listener answers: the admin API, and the numbers.

use super::change::{Why, seconds};
use super::plan::Now;
use super::{Control, ControlError};
use crate::gateway::admin::{AdminEffect, AdminReply, AdminRequest, handle};
use crate::proxy::admin::{Answer, Asked};
use crate::proxy::log::Severity;
use crate::proxy::metrics;
use std::sync::Arc;

/// Where the numbers are: APISIX's path, and the one that everybody expects.
const METRICS: [&str; 2] = ["/apisix/prometheus/metrics", "/metrics"];

impl Control {
    /// Answers a request.
    pub(super) async fn answer(self: Arc<Self>, asked: Asked) -> Answer {
        let path = asked.target.split('?').next().unwrap_or_default();
        if METRICS.contains(&path) && matches!(asked.method.as_str(), "GET" | "HEAD") {
            return self.metrics();
        }
        let answered = self.alone(move |control, now| control.admin(now, &asked)).await;
        answered
            .unwrap_or_else(|| Answer::error(500, "the request could not be handled; the log of the process says why"))
    }

    fn metrics(&self) -> Answer {
        // A server that is about to stop has nothing living to count.
        let hosts = self.with_server(|server| Ok(server.population())).unwrap_or_default();
        let page = metrics::render(self.journal.counters(), &hosts, &self.stores.samples());
        Answer::new(200, metrics::CONTENT_TYPE, page)
    }

    /// The admin API: the answer is given when what it says is so on every worker, and on the disk.
    fn admin(&self, now: &mut Now, asked: &Asked) -> Answer {
        let mut next = now.resources.clone();
        let request = AdminRequest {
            method: &asked.method,
            target: &asked.target,
            headers: &asked.headers,
            body: &asked.body,
            now: seconds(),
            keys: &now.admin.keys,
            allowed: &now.admin.allowed,
            client: asked.client.ip(),
        };
        let reply = handle(&mut next, &request);
        for line in &reply.logs {
            self.journal.errors().say(Severity::from(line.level), &line.message);
        }
        let done = match reply.effect {
            AdminEffect::None => Ok(()),
            AdminEffect::Changed => self.change(now, next).inspect_err(|error| self.complain(error)),
            AdminEffect::ReloadPlugins => self.reload(now, Why::Asked),
        };
        match done {
            Ok(()) => {
                let AdminReply { status, headers, body, .. } = reply;
                Answer { status, headers, body }
            }
            Err(error) => Answer::error(503, &error.to_string()),
        }
    }

    fn complain(&self, error: &ControlError) {
        self.journal.errors().say(Severity::Error, &format!("the change was not made: {error}"));
    }
}
