;; Keeps the host busy from one callback to the next, each of which is short. The path's first letter says how.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) ":path")
  (data (i32.const 64) "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00")
  (global $path (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 65536)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func $send (drop (call $enqueue (i32.const 1) (i32.const 16) (i32.const 5))))
  (func $ask
    (drop (call $call (i32.const 17) (i32.const 4) (i32.const 64) (i32.const 61) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 0))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
    (global.set $path (i32.load8_u offset=1 (i32.load (i32.const 0))))
    ;; q: every message brings the next one
    (if (i32.eq (global.get $path) (i32.const 113)) (then
      (drop (call $register (i32.const 16) (i32.const 5) (i32.const 0)))
      (call $send)))
    ;; t: a tick each millisecond
    (if (i32.eq (global.get $path) (i32.const 116)) (then (drop (call $tick (i32.const 1)))))
    ;; c: every answer brings the next call, and the request waits
    (if (i32.eq (global.get $path) (i32.const 99)) (then (call $ask) (return (i32.const 1))))
    ;; p: a tick each millisecond, and the request waits
    (if (i32.eq (global.get $path) (i32.const 112)) (then
      (drop (call $tick (i32.const 1)))
      (return (i32.const 1))))
    i32.const 0)
  (func (export "proxy_on_queue_ready") (param i32 i32) (call $send))
  (func (export "proxy_on_tick") (param i32))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (call $ask))
  ;; l: a local response when the stream has ended
  (func (export "proxy_on_log") (param i32)
    (if (i32.eq (global.get $path) (i32.const 108)) (then
      (drop (call $reply (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const -1)))))))
