;; Uses up its own means: memory, stack, table, log. The path's first letter says which.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (table $table 1 funcref)
  (data (i32.const 16) ":path")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 65536)
  (func (export "proxy_on_context_create") (param i32 i32))
  ;; Grows page by page, writes to each, and gives up as allocators do when there is no more.
  (func $memory (local $page i32)
    (loop $more
      (local.set $page (memory.grow (i32.const 1)))
      (if (i32.eq (local.get $page) (i32.const -1)) (then unreachable))
      (i32.store (i32.shl (local.get $page) (i32.const 16)) (i32.const 1))
      br $more))
  (func $recurse (param i64 i64 i64 i64) (result i64)
    (i64.add (local.get 0)
      (call $recurse (local.get 1) (local.get 2) (local.get 3) (i64.add (local.get 0) (i64.const 1)))))
  (func $table_bomb
    (loop $more
      (if (i32.eq (table.grow $table (ref.null func) (i32.const 10000)) (i32.const -1)) (then unreachable))
      br $more))
  ;; A page of zeroes at a time.
  (func $logs (loop $more (drop (call $log (i32.const 2) (i32.const 65536) (i32.const 65536))) br $more))
  ;; As many lines as there can be.
  (func $lines (loop $more (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0))) br $more))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $letter i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
    (local.set $letter (i32.load8_u offset=1 (i32.load (i32.const 0))))
    (if (i32.eq (local.get $letter) (i32.const 109)) (then (call $memory))) ;; m
    (if (i32.eq (local.get $letter) (i32.const 114)) ;; r
      (then (drop (call $recurse (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))))
    (if (i32.eq (local.get $letter) (i32.const 116)) (then (call $table_bomb))) ;; t
    (if (i32.eq (local.get $letter) (i32.const 108)) (then (call $logs))) ;; l
    (if (i32.eq (local.get $letter) (i32.const 105)) (then (call $lines))) ;; i
    i32.const 0))
