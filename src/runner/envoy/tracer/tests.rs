//! Lines as Envoy writes them, and the events that they become.

use super::*;

fn record(text: &str) -> Record {
    Record { offset: 0, worker: true, level: "info".to_owned(), text: text.as_bytes().to_vec() }
}

fn tracer() -> Tracer {
    let speaker = |at: usize, name: &str, vm: &str| Speaker {
        plugin: PluginIndex(at),
        name: name.to_owned(),
        root_id: String::new(),
        vm_id: vm.to_owned(),
    };
    Tracer::new(&[speaker(0, "one", "a"), speaker(1, "two", "b")])
}

#[test]
fn callbacks_hostcalls_and_logs() {
    let mut tracer = tracer();
    tracer.exchange = Some(ExchangeId(1));
    let lines = [
        "[host->vm] proxy_on_context_create(2, 1)",
        "[host<-vm] proxy_on_context_create return: void",
        "[host->vm] proxy_on_request_headers(2, 5, 1)",
        "[vm->host] env.proxy_log(2, 100, 3)",
        "wasm log two b: a: b",
        "[vm<-host] env.proxy_log return: 0",
        "[host<-vm] proxy_on_request_headers return: 1",
    ];
    tracer.absorb(&lines.map(record), Vec::new(), &[]);
    let logs: Vec<_> = crate::trace::views::logs(&tracer.events).collect();
    assert_eq!(logs.len(), 1);
    assert_eq!((logs[0].plugin, &logs[0].message[..]), (Some(PluginIndex(1)), &b"a: b"[..]));
    assert_eq!(crate::trace::views::actions(&tracer.events, Callback::OnRequestHeaders), [1]);
    assert!(matches!(
        &tracer.events[2],
        Event::CallbackEntered(e) if e.plugin == PluginIndex(1) && e.exchange == Some(ExchangeId(1))
    ));
}

#[test]
fn a_trap_ends_its_callback() {
    let mut tracer = tracer();
    let lines = [
        "[host->vm] proxy_on_request_headers(2, 5, 1)",
        "[vm->host] env.proxy_get_property(1, 2, 3, 4)",
        "[host->vm] malloc(20)",
        "Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable\nProxy-Wasm plugin in-VM backtrace:",
    ];
    tracer.absorb(&lines.map(record), Vec::new(), &[]);
    let trap = crate::trace::views::traps(&tracer.events).next().expect("a trap").clone();
    assert_eq!(trap.callback, Entry::Callback(Callback::OnRequestHeaders));
    assert!(trap.message.starts_with("Uncaught RuntimeError: unreachable"), "{}", trap.message);
    assert!(tracer.open.is_empty());
}
