;; Loops for ever in the callback whose letter the request's path begins with, or while it is configured if its
;; configuration is not empty.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) ":path")
  (global $where (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 65536)
  (func $endless (loop $again br $again))
  (func $here (param $letter i32)
    (if (i32.eq (global.get $where) (local.get $letter)) (then (call $endless))))
  (func (export "proxy_on_context_create") (param $context i32) (param $parent i32)
    (if (local.get $parent) (then (call $here (i32.const 110))))) ;; n: the next request's context
  (func (export "proxy_on_vm_start") (param i32) (param $size i32) (result i32)
    (if (local.get $size) (then (call $endless)))
    i32.const 1)
  (func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
    (if (local.get $size) (then (call $endless)))
    i32.const 1)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
    (global.set $where (i32.load8_u offset=1 (i32.load (i32.const 0))))
    (if (i32.eq (global.get $where) (i32.const 116)) (then (drop (call $tick (i32.const 1000)))))
    (call $here (i32.const 104)) ;; h
    i32.const 0)
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (call $here (i32.const 98)) i32.const 0) ;; b
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $here (i32.const 114)) i32.const 0) ;; r
  (func (export "proxy_on_tick") (param i32) (call $here (i32.const 116))) ;; t
  (func (export "proxy_on_log") (param i32) (call $here (i32.const 108))) ;; l
  (func (export "proxy_on_done") (param i32) (result i32) (call $here (i32.const 100)) i32.const 1) ;; d
  (func (export "proxy_on_delete") (param i32) (call $here (i32.const 120)))) ;; x
