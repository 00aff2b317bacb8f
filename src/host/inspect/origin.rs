//! Where an import that no host offers comes from: the toolchain or proxy it betrays, and what to do.
//!
//! Only names that were seen in the toolchain's or proxy's own sources are listed: Higress's Go SDK, Gcore's
//! FastEdge SDKs, the draft names in Kong's module. A guess in an error message costs more than none.

/// The usual cause of an import that the host does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// wasm-bindgen's glue for JavaScript.
    WasmBindgen,
    /// Go's or TinyGo's JavaScript target.
    GoJs,
    /// WASI 0.2 interfaces, which belong to components.
    Component,
    /// AssemblyScript's own imports.
    AssemblyScript,
    /// C++ exceptions.
    CppRuntime,
    /// Emscripten's JavaScript runtime.
    Emscripten,
    /// Threads.
    WasiThreads,
    /// WasmEdge's sockets.
    WasmEdge,
    /// A WASI function that proxies do not offer.
    Wasi,
    /// Higress.
    Higress,
    /// Gcore FastEdge.
    FastEdge,
    /// Envoy's own, outside the specification.
    Envoy,
    /// The names of the draft of 2020.
    Draft,
    /// A symbol that the linker left open.
    Symbol,
}

/// Names are compared whole, or up to a `*`.
struct Rule {
    module: &'static [&'static str],
    name: &'static [&'static str],
    origin: Origin,
}

/// The first rule that fits decides.
const RULES: &[Rule] = &[
    Rule { module: &["wbg", "__wbindgen_*"], name: &["*"], origin: Origin::WasmBindgen },
    Rule { module: &["*"], name: &["__wbindgen_*", "__wbg_*"], origin: Origin::WasmBindgen },
    Rule { module: &["go", "gojs"], name: &["*"], origin: Origin::GoJs },
    Rule { module: &["env"], name: &["runtime.*", "syscall/js.*"], origin: Origin::GoJs },
    Rule { module: &["wasi_snapshot_preview2", "wasi:*"], name: &["*"], origin: Origin::Component },
    Rule { module: &["wasi"], name: &["thread-spawn"], origin: Origin::WasiThreads },
    Rule {
        module: &["env"],
        name: &[
            "proxy_redis_init",
            "proxy_redis_call",
            "proxy_inject_encoded_data_to_filter_chain",
            "proxy_get_upstream_hosts",
            "proxy_set_upstream_override_host",
        ],
        origin: Origin::Higress,
    },
    Rule {
        module: &["env"],
        name: &[
            "proxy_get_secret",
            "proxy_get_effective_at_secret",
            "proxy_secret_get*",
            "proxy_dictionary_get",
            "proxy_kv_store_*",
        ],
        origin: Origin::FastEdge,
    },
    Rule { module: &["env"], name: &["envoy_resolve_dns"], origin: Origin::Envoy },
    Rule {
        module: &["env"],
        name: &[
            "proxy_get_buffer",
            "proxy_set_buffer",
            "proxy_get_map_values",
            "proxy_set_map_values",
            "proxy_send_http_response",
            "proxy_resume_http_stream",
            "proxy_resume_stream",
            "proxy_context_finalize",
            "proxy_dispatch_http_call",
            "proxy_dispatch_grpc_call",
            "proxy_open_grpc_stream",
            "proxy_send_grpc_stream_message",
            "proxy_cancel_grpc_call",
            "proxy_close_grpc_call",
            "proxy_create_timer",
            "proxy_delete_timer",
            "proxy_create_metric",
            "proxy_get_metric_value",
            "proxy_set_metric_value",
            "proxy_increment_metric_value",
            "proxy_delete_metric",
            "proxy_open_shared_kvstore",
            "proxy_get_shared_kvstore_key_values",
            "proxy_set_shared_kvstore_key_values",
            "proxy_add_shared_kvstore_key_values",
            "proxy_remove_shared_kvstore_key",
            "proxy_delete_shared_kvstore",
            "proxy_open_shared_queue",
            "proxy_dequeue_shared_queue_item",
            "proxy_enqueue_shared_queue_item",
            "proxy_delete_shared_queue",
            "proxy_call_custom_function",
        ],
        origin: Origin::Draft,
    },
    Rule {
        module: &["env"],
        name: &["abort", "seed", "trace", "console.*", "Date.*", "performance.*", "process.*"],
        origin: Origin::AssemblyScript,
    },
    Rule { module: &["env"], name: &["__cxa_*", "_Unwind_*", "__gxx_*", "_Zn*", "_Zd*"], origin: Origin::CppRuntime },
    Rule {
        module: &["env"],
        name: &[
            "emscripten_*",
            "_emscripten_*",
            "invoke_*",
            "__syscall_*",
            "_embind_*",
            "_emval_*",
            "__assert_fail",
            "_abort_js",
            "_tzset_js",
            "_mmap_js",
            "_munmap_js",
            "_localtime_js",
            "_gmtime_js",
            "_mktime_js",
            "setTempRet0",
            "getTempRet0",
        ],
        origin: Origin::Emscripten,
    },
    Rule {
        module: &["wasi_snapshot_preview1"],
        name: &["sock_open", "sock_bind", "sock_connect", "sock_listen", "sock_getaddrinfo", "sock_*sockopt*"],
        origin: Origin::WasmEdge,
    },
    Rule { module: &["wasi_snapshot_preview1", "wasi_unstable"], name: &["*"], origin: Origin::Wasi },
];

impl Origin {
    /// The usual cause of an import, where one is known.
    pub fn of(module: &str, name: &str) -> Option<Self> {
        let any = |patterns: &[&str], text: &str| patterns.iter().any(|p| matches(p, text));
        let rule = RULES.iter().find(|r| any(r.module, module) && any(r.name, name));
        match rule {
            Some(rule) => Some(rule.origin),
            None if module == "env" && !name.starts_with("proxy_") => Some(Self::Symbol),
            None => None,
        }
    }

    /// Whether the name is a real one, so that a similar name would only mislead.
    pub fn is_certain(self) -> bool {
        !matches!(self, Self::Wasi | Self::Symbol)
    }

    /// Why it is there and what to do.
    pub fn cause(self) -> &'static str {
        match self {
            Self::WasmBindgen => {
                "the module was built with wasm-bindgen or wasm-pack for JavaScript, or a dependency such as chrono, \
                 getrandom or uuid brings wasm-bindgen in; build with `cargo build --target wasm32-wasip1`"
            }
            Self::GoJs => {
                "the module was built for JavaScript (GOOS=js, or TinyGo's `-target wasm`); build with \
                 `GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared`, or with TinyGo's `-target wasip1`"
            }
            Self::Component => {
                "WASI 0.2 interfaces belong to components, which no Proxy-Wasm host loads; build for WASI preview 1 \
                 (Rust: wasm32-wasip1, TinyGo: `-target wasip1`)"
            }
            Self::AssemblyScript => {
                "this is an AssemblyScript import for JavaScript hosts; put `\"use\": \"abort=abort_proc_exit\"` into \
                 the options of asconfig.json, and log with the SDK's `log` instead of `console` and `trace`"
            }
            Self::CppRuntime => "the C++ runtime was not linked in; compile with `-fno-exceptions` and link libc++abi",
            Self::Emscripten => {
                "the module expects Emscripten's JavaScript runtime; link with `-sSTANDALONE_WASM --no-entry` and \
                 avoid what needs that runtime (exceptions, files, embind)"
            }
            Self::WasiThreads => "Proxy-Wasm plugins have one thread; build for wasm32-wasip1 without `-threads`",
            Self::WasmEdge => "sockets are WasmEdge's own; a plugin talks to the network with `proxy_http_call`",
            Self::Wasi => "proxies offer only a part of WASI preview 1; leave out what calls this function",
            Self::Higress => {
                "this hostcall is private to Higress (its SDK github.com/higress-group/proxy-wasm-go-sdk); other hosts \
                 refuse the module, so build with github.com/proxy-wasm/proxy-wasm-go-sdk or drop the feature"
            }
            Self::FastEdge => {
                "this hostcall is private to Gcore FastEdge; other hosts refuse the module, so pass such values in \
                 the plugin configuration"
            }
            Self::Envoy => "this hostcall is private to Envoy and not part of the specification",
            Self::Draft => {
                "this is a name of the ABI's draft of 2020, which no release of the specification took over; update \
                 the SDK (proxy-wasm 0.2 for Rust)"
            }
            Self::Symbol => {
                "no proxy defines this function; it is most likely a symbol that the linker left open \
                 (`--allow-undefined`), so link the library that has it"
            }
        }
    }
}

/// Compares whole names, where `*` stands for anything, several times too.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    while let Some((middle, next)) = rest.split_once('*') {
        let Some(at) = text.find(middle) else { return false };
        text = &text[at + middle.len()..];
        rest = next;
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_origin_is_recognised() {
        let cases = [
            ("wbg", "__wbg_now_abc", Origin::WasmBindgen),
            ("./plugin_bg.js", "__wbindgen_throw", Origin::WasmBindgen),
            ("__wbindgen_placeholder__", "__wbindgen_describe", Origin::WasmBindgen),
            ("gojs", "syscall/js.valueGet", Origin::GoJs),
            ("env", "runtime.ticks", Origin::GoJs),
            ("wasi:io/poll@0.2.0", "poll", Origin::Component),
            ("wasi", "thread-spawn", Origin::WasiThreads),
            ("env", "proxy_redis_call", Origin::Higress),
            ("env", "proxy_kv_store_open", Origin::FastEdge),
            ("env", "envoy_resolve_dns", Origin::Envoy),
            ("env", "proxy_get_buffer", Origin::Draft),
            ("env", "abort", Origin::AssemblyScript),
            ("env", "console.log", Origin::AssemblyScript),
            ("env", "__cxa_throw", Origin::CppRuntime),
            ("env", "emscripten_resize_heap", Origin::Emscripten),
            ("wasi_snapshot_preview1", "sock_setsockopt", Origin::WasmEdge),
            ("wasi_snapshot_preview1", "proc_raise", Origin::Wasi),
            ("env", "printf", Origin::Symbol),
        ];
        for (module, name, origin) in cases {
            assert_eq!(Origin::of(module, name), Some(origin), "{module}.{name}");
            assert!(!origin.cause().ends_with('.') && !origin.cause().contains('\n'));
        }
        assert_eq!(Origin::of("env", "proxy_lgo"), None);
        assert_eq!(Origin::of("mine", "f"), None);
    }

    #[test]
    fn stars_match_anything() {
        assert!(matches("sock_*sockopt*", "sock_getsockopt_v2"));
        assert!(!matches("sock_*sockopt*", "sock_send"));
        assert!(matches("*", ""));
        assert!(!matches("a*b*a", "aba_"));
    }
}
