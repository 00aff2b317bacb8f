//! A step: what it does, the planned answers to calls, and what is expected.

use super::context::{Cx, quote};
use super::file::wanted;
use super::keys::{RECONFIGURE, STEP, STEP_KINDS};
use super::read::Fields;
use super::{callout, concurrent, connect, expect, foreign, gateway, plugin, request};
use crate::scenario::model::{Step, StepKind};
use crate::scenario::yaml::{Key, Node};

/// A step of `steps`.
pub(super) fn of_list(cx: &mut Cx, node: &Node) -> Option<Step> {
    let fields = cx.fields(node, "a step", &STEP)?;
    if fields.present(STEP_KINDS).is_empty() && !fields.misspelt(STEP_KINDS) {
        let hint = "a step has `request`, `connect`, `advance`, `reconfigure`, `on_foreign_function`, `concurrent`, `admin` or `shutdown`";
        cx.push(cx.at(&node.span, "this step does nothing").hint(hint));
    }
    step(cx, &fields)
}

/// A step whose keys stand in a mapping that has been checked for unknown ones.
pub(super) fn step(cx: &mut Cx, fields: &Fields) -> Option<Step> {
    let present = fields.present(STEP_KINDS);
    cx.only_one(&present, "a step");
    if let Some((key, _)) = present.first().filter(|_| cx.gateway) {
        not_with_gateway(cx, key);
    }
    let kind = present.first().and_then(|(key, node)| match key.text.as_str() {
        "request" => {
            request::request(cx, node, fields.get("upstream")).map(|request| StepKind::Request(Box::new(request)))
        }
        "connect" => connect::connect(cx, node, fields.get("upstream")).map(StepKind::Connect),
        "advance" => cx.duration(node, "`advance`").map(StepKind::Advance),
        "reconfigure" => reconfigure(cx, node),
        "on_foreign_function" => foreign::called(cx, node),
        "admin" => gateway::admin(cx, node).map(|admin| StepKind::Admin(Box::new(admin))),
        "concurrent" => concurrent::concurrent(cx, node).map(StepKind::Concurrent),
        _ => shutdown(cx, node),
    });
    let does = |name: &str| present.iter().any(|(key, _)| key.text == name);
    if let Some((key, _)) =
        fields.entry("upstream").filter(|_| !does("request") && !does("connect") && !present.is_empty())
    {
        let problem = cx.at(&key.span, "`upstream` without `request` or `connect`");
        cx.push(problem.hint(match does("concurrent") {
            true => "each item of `concurrent` has its own",
            false => "it is what the origin does with the request or the connection of the same step",
        }));
    }
    let callouts = match fields.entry("callouts") {
        Some((key, node)) => {
            if does("shutdown") {
                cx.push(
                    cx.at(&key.span, "`callouts` beside `shutdown`")
                        .hint("nothing answers calls that are made while the VM goes"),
                );
            }
            if does("admin") {
                let problem = cx.at(&key.span, "`callouts` beside `admin`");
                cx.push(problem.hint("on APISIX only requests make calls: put it beside the request"));
            }
            callout::callouts(cx, node)
        }
        None => Some(Vec::new()),
    };
    let expect = fields.get("expect").map(|node| match does("admin") {
        true => expect::of_admin(cx, node),
        false => expect::expect(cx, node),
    });
    if let (true, Some(Some(expect))) = (does("concurrent"), &expect) {
        concurrent::about_all(cx, expect);
    }
    Some(Step { span: fields.node.span.clone(), kind: kind?, callouts: callouts?, expect: wanted(expect)? })
}

/// Steps that a gateway has other ways for, or none.
fn not_with_gateway(cx: &mut Cx, key: &Key) {
    let hint = match key.text.as_str() {
        "reconfigure" => {
            "configurations stand in the gateway's objects: `admin: { send: PATCH /apisix/admin/routes/1, body: … }`"
        }
        "connect" => "a gateway's routes are for HTTP; plugins on TCP streams are tested with `plugin`",
        "on_foreign_function" => "APISIX does not know proxy_on_foreign_function; it is tested with `plugin`",
        _ => return,
    };
    cx.push(cx.at(&key.span, format!("`{}` in a file with `gateway`", key.text)).hint(hint));
}

fn shutdown(cx: &mut Cx, node: &Node) -> Option<StepKind> {
    match cx.flag(node, "`shutdown`")? {
        true => Some(StepKind::Shutdown),
        false => {
            cx.push(cx.at(&node.span, "`shutdown: false` does nothing").hint("remove the step"));
            None
        }
    }
}

/// The new configuration of the only plugin, or `{plugin, config}`.
fn reconfigure(cx: &mut Cx, node: &Node) -> Option<StepKind> {
    let named = node
        .as_map()
        .is_some_and(|entries| entries.len() == 2 && entries.iter().all(|(key, _)| RECONFIGURE.has(&key.text)));
    let several = cx.plugins.as_ref().is_some_and(|plugins| plugins.len() > 1);
    if !named {
        if several {
            let problem = cx.at(&node.span, "`reconfigure`: which plugin?");
            cx.push(problem.hint("with several plugins it is written `{ plugin: name, config: … }`"));
            return None;
        }
        let config = plugin::config(cx, node, "`reconfigure`")?;
        return Some(StepKind::Reconfigure { plugin: 0, config });
    }
    let fields = cx.fields(node, "`reconfigure`", &RECONFIGURE)?;
    let config = fields.get("config").and_then(|node| plugin::config(cx, node, "`config`"));
    let plugin = fields.get("plugin").and_then(|node| which(cx, node));
    Some(StepKind::Reconfigure { plugin: plugin?, config: config? })
}

/// The place of a plugin in the chain: by name, or by number from 1 where names repeat.
pub(super) fn which(cx: &mut Cx, node: &Node) -> Option<usize> {
    let name = cx.text(node, "`plugin`")?;
    let plugins = cx.plugins.clone()?;
    let places: Vec<usize> = (0..plugins.len()).filter(|at| plugins[*at] == name).collect();
    match (places.as_slice(), name.parse::<usize>()) {
        ([place], _) => Some(*place),
        ([], Ok(number)) if (1..=plugins.len()).contains(&number) => Some(number - 1),
        ([], _) => {
            let names: Vec<&str> = plugins.iter().map(String::as_str).collect();
            let hint = format!("the chain has {}", super::keys::list(&names));
            cx.push(cx.at(&node.span, format!("no plugin is called {}", quote(name))).hint(hint));
            None
        }
        (several, _) => {
            let numbers: Vec<String> = several.iter().map(|place| (place + 1).to_string()).collect();
            let problem = cx.at(&node.span, format!("{} plugins are called {}", several.len(), quote(name)));
            cx.push(problem.hint(format!("give its number in the chain: {}", numbers.join(" or "))));
            None
        }
    }
}
