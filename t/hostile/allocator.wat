;; An allocator that misbehaves once the request's path has been read; the path's first letter says how. Then the
;; path is asked for again, and what that returned is logged.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) ":path")
  (data (i32.const 32) "status ?")
  (global $mode (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func $path (result i32) (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
  (func (export "malloc") (param $size i32) (result i32)
    (if (i32.eq (global.get $mode) (i32.const 122)) (then (return (i32.const 0)))) ;; z: zero
    (if (i32.eq (global.get $mode) (i32.const 111)) (then (return (i32.const 0x7fff0000)))) ;; o: out of bounds
    (if (i32.eq (global.get $mode) (i32.const 98)) (then (return (i32.const 131071)))) ;; b: across the border
    (if (i32.eq (global.get $mode) (i32.const 110)) (then (return (i32.const -1)))) ;; n: the highest address
    (if (i32.eq (global.get $mode) (i32.const 116)) (then unreachable)) ;; t: trap
    (if (i32.eq (global.get $mode) (i32.const 101)) (then (loop $again br $again))) ;; e: endless
    (if (i32.eq (global.get $mode) (i32.const 104)) (then (drop (call $path)))) ;; h: a hostcall that allocates
    (if (i32.eq (global.get $mode) (i32.const 103)) ;; g: the memory grows and moves
      (then (return (i32.shl (memory.grow (i32.const 64)) (i32.const 16)))))
    i32.const 65536)
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $path))
    (global.set $mode (i32.load8_u offset=1 (i32.load (i32.const 0))))
    (i32.store8 (i32.const 39) (i32.add (i32.const 48) (call $path)))
    (global.set $mode (i32.const 0))
    (drop (call $log (i32.const 2) (i32.const 32) (i32.const 8)))
    i32.const 0))
