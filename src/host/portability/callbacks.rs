//! Callbacks: which ones ran, with what arguments, and what they returned.

use super::Walk;
use crate::abi::{Callback, PluginIndex};
use crate::host::{profile, reply};
use crate::trace::{CallAnswer, CallbackEntered, Entry};

/// `:status` and length of the bodies that a host makes out of failed calls.
const FAILURES: [(u32, &str); 4] =
    [(503, reply::REFUSED_TEXT), (504, reply::TIMED_OUT_TEXT), (503, reply::RESET_TEXT), (502, reply::GARBAGE_TEXT)];

impl Walk {
    pub(super) fn entered(&mut self, entered: &CallbackEntered) {
        let (plugin, args) = (entered.plugin, entered.args.as_slice());
        match entered.callback {
            Entry::Callback(Callback::OnContextCreate) if args.first() == Some(&0) => {
                self.roots.insert((plugin, entered.context));
            }
            Entry::Callback(Callback::OnConfigure) => {
                self.configured.insert(plugin);
                if args.first() == Some(&0) {
                    self.note("empty-configuration", Some(plugin), "");
                }
            }
            _ => {}
        }
    }

    /// The callback came back: now it is known what it did.
    pub(super) fn left(&mut self, result: Option<u32>) {
        let Some(running) = self.running.take() else { return };
        let plugin = Some(running.plugin);
        let Entry::Callback(callback) = running.entry else { return };
        // What did nothing is not missed where it is not called: SDKs export every callback.
        let default = u32::from(matches!(callback, Callback::OnVmStart | Callback::OnDone));
        let active = running.hostcalls > 0 || result.is_some_and(|result| result != default);
        if active && profile::ALL.iter().any(|profile| !profile.documented.calls(callback)) {
            self.note("callback-not-called", plugin, callback.short());
        }
        let paused = result == Some(1);
        let ends = running.args.get(1) == Some(&1);
        match callback {
            Callback::OnRequestHeaders | Callback::OnRequestBody => {
                if active && callback == Callback::OnRequestHeaders && running.args.get(1) == Some(&0) {
                    self.note("header-arguments", plugin, callback.short());
                }
                if active
                    && callback == Callback::OnRequestBody
                    && let Some(exchange) = running.exchange
                {
                    let calls = self.body_callbacks.entry((running.plugin, exchange)).or_default();
                    *calls += 1;
                    if *calls == 2 {
                        self.note("body-chunks", plugin, "");
                    }
                }
                // A body that is waited for is given in one piece where nothing else could be done with a Pause.
                let waits_for_more = callback == Callback::OnRequestBody && !ends;
                let waits = self.pending.values().any(|exchange| *exchange == running.exchange);
                if paused && !waits_for_more && !waits && running.local_responses == 0 {
                    self.note("pause-without-call", plugin, callback.short());
                }
                if !paused && running.calls > 0 {
                    self.note("call-blocks", plugin, callback.short());
                }
            }
            Callback::OnResponseHeaders | Callback::OnResponseBody => {
                if active && callback == Callback::OnResponseHeaders && running.args.get(1) == Some(&0) {
                    self.note("header-arguments", plugin, callback.short());
                }
                if paused {
                    self.note("pause-response", plugin, callback.short());
                }
                if active && let Some(exchange) = running.exchange {
                    let plugins = self.in_response.entry(exchange).or_default();
                    plugins.insert(running.plugin);
                    if plugins.len() == 2 {
                        self.note("response-order", None, "");
                    }
                }
            }
            Callback::OnDone if result == Some(0) && self.roots.contains(&(running.plugin, running.context)) => {
                self.note("done-refused", plugin, "");
            }
            _ => {}
        }
        if running.calls > 0 && running.local_responses > 0 {
            self.note("call-with-local-response", plugin, callback.short());
        }
    }

    pub(super) fn answered(&mut self, plugin: PluginIndex, token: u32, answer: &CallAnswer) {
        let made_by = self.pending.remove(&(plugin, token)).flatten();
        if made_by.is_some_and(|exchange| self.closed.contains(&exchange)) {
            self.note("late-answer", Some(plugin), "");
        }
        let failed = match answer {
            CallAnswer::Failed(_) => true,
            // A response that the host has made itself: the trace shows it as any other.
            CallAnswer::Response { status, body, .. } => {
                FAILURES.iter().any(|(code, text)| code == status && text.len() == *body)
            }
        };
        if failed {
            self.note("call-failure", Some(plugin), "");
        }
    }

    /// What can be said only when everything is over.
    pub(super) fn at_the_end(&mut self) {
        let rooted: Vec<PluginIndex> = self.roots.iter().map(|(plugin, _)| *plugin).collect();
        for plugin in rooted {
            if !self.configured.contains(&plugin) {
                self.note("configure-missing", Some(plugin), "");
            }
        }
    }
}
