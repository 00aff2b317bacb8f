;; An allocator that gives nothing for the result of a foreign function; the path's first letter says how. The last
;; letter `n` drops the result.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) ":path")
  (data (i32.const 32) "status ?")
  (data (i32.const 48) "compress")
  (global $mode (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "malloc") (param $size i32) (result i32)
    (if (i32.eq (global.get $mode) (i32.const 122)) (then (return (i32.const 0)))) ;; z: zero
    (if (i32.eq (global.get $mode) (i32.const 111)) (then (return (i32.const 0x7fff0000)))) ;; o: out of bounds
    (if (i32.eq (global.get $mode) (i32.const 116)) (then unreachable)) ;; t: trap
    i32.const 65536)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $out i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 8) (i32.const 12)))
    (global.set $mode (i32.load8_u offset=1 (i32.load (i32.const 8))))
    (local.set $out (select (i32.const 0) (i32.const 8)
      (i32.eq (i32.load8_u offset=2 (i32.load (i32.const 8))) (i32.const 110))))
    (i32.store8 (i32.const 39) (i32.add (i32.const 48)
      (call $call (i32.const 48) (i32.const 8) (i32.const 0) (i32.const 0) (local.get $out) (i32.const 12))))
    (global.set $mode (i32.const 0))
    (drop (call $log (i32.const 2) (i32.const 32) (i32.const 8)))
    i32.const 0))
