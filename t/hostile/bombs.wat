;; Makes the host work, or hold something, without end: one hostcall in a loop. The letter that the path begins with
;; says which; each is named where it is tested for.
(module
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $replace (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_size" (func $map_size (param i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_buffer_bytes" (func $set_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_shared_data" (func $set_shared (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_register_shared_queue" (func $register (param i32 i32 i32) (result i32)))
  (import "env" "proxy_enqueue_shared_queue" (func $enqueue (param i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 40)
  (data (i32.const 16) ":path")
  (data (i32.const 32) "request\00headers")
  (data (i32.const 64) "\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/\00:authority\00a\00")
  (global $path (mut i32) (i32.const 0))
  (global $count (mut i32) (i32.const 0))
  (global $wasted (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 1048576)
  (func (export "proxy_on_context_create") (param i32 i32))
  ;; Eight letters at 8: another name each time.
  (func $next (local $at i32) (local $rest i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (local.set $rest (global.get $count))
    (local.set $at (i32.const 15))
    (loop $letters
      (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.and (local.get $rest) (i32.const 15))))
      (local.set $rest (i32.shr_u (local.get $rest) (i32.const 4)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $letters (i32.gt_u (local.get $at) (i32.const 7)))))
  (func $is (param $letter i32) (result i32) (i32.eq (global.get $path) (local.get $letter)))
  (func $add_header
    (call $next)
    (drop (call $add (i32.const 0) (i32.const 8) (i32.const 8) (i32.const 8) (i32.const 8))))
  (func $some_headers (local $i i32)
    (loop $more
      (call $add_header)
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 10000)))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
    (global.set $path (i32.load8_u offset=1 (i32.load (i32.const 0))))
    ;; a: headers are added
    (if (call $is (i32.const 97)) (then (loop $more (call $add_header) br $more)))
    ;; r: headers are replaced that are not there
    (if (call $is (i32.const 114)) (then (loop $more
      (call $next)
      (drop (call $replace (i32.const 0) (i32.const 8) (i32.const 8) (i32.const 8) (i32.const 8)))
      br $more)))
    ;; p: many headers, all of them read
    (if (call $is (i32.const 112)) (then
      (call $some_headers)
      (loop $more (drop (call $pairs (i32.const 0) (i32.const 0) (i32.const 4))) br $more)))
    ;; z: many headers, and their size
    (if (call $is (i32.const 122)) (then
      (call $some_headers)
      (loop $more (drop (call $map_size (i32.const 0) (i32.const 0))) br $more)))
    ;; h: many headers as one property
    (if (call $is (i32.const 104)) (then
      (call $some_headers)
      (loop $more (drop (call $get_property (i32.const 32) (i32.const 15) (i32.const 0) (i32.const 4))) br $more)))
    ;; j: a header that can be there only once gets longer and longer
    (if (call $is (i32.const 106)) (then (loop $more
      (drop (call $add (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 16) (i32.const 5)))
      br $more)))
    ;; w: a map that is out of reach
    (if (call $is (i32.const 119)) (then (loop $more
      (drop (call $get (i32.const 2) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
      br $more)))
    ;; s: shared data
    (if (call $is (i32.const 115)) (then (loop $more
      (call $next)
      (drop (call $set_shared (i32.const 8) (i32.const 8) (i32.const 1024) (i32.const 1024) (i32.const 0)))
      br $more)))
    ;; q: queues
    (if (call $is (i32.const 113)) (then (loop $more
      (call $next)
      (drop (call $register (i32.const 8) (i32.const 8) (i32.const 0)))
      br $more)))
    ;; e: messages in one queue
    (if (call $is (i32.const 101)) (then
      (drop (call $register (i32.const 8) (i32.const 8) (i32.const 0)))
      (loop $more (drop (call $enqueue (i32.const 1) (i32.const 8) (i32.const 8))) br $more)))
    ;; m: metrics
    (if (call $is (i32.const 109)) (then (loop $more
      (call $next)
      (drop (call $define (i32.const 0) (i32.const 8) (i32.const 8) (i32.const 0)))
      br $more)))
    ;; c: calls that go out when the callback has returned
    (if (call $is (i32.const 99)) (then (loop $more
      (call $next)
      (drop (call $call (i32.const 8) (i32.const 8) (i32.const 64) (i32.const 61) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 0)))
      (global.set $wasted (i32.add (global.get $wasted) (i32.const 1)))
      (br_if $more (i32.lt_u (global.get $wasted) (i32.const 20000))))))
    ;; y: properties
    (if (call $is (i32.const 121)) (then (loop $more
      (call $next)
      (drop (call $set_property (i32.const 8) (i32.const 8) (i32.const 8) (i32.const 8)))
      br $more)))
    ;; t: the stream is continued and was not paused
    (if (call $is (i32.const 116)) (then (loop $more
      (drop (call $continue (i32.const 0)))
      (global.set $wasted (i32.add (global.get $wasted) (i32.const 1)))
      (br_if $more (i32.lt_u (global.get $wasted) (i32.const 20000))))))
    ;; l: local responses
    (if (call $is (i32.const 108)) (then (loop $more
      (drop (call $reply (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 1024) (i32.const 0)
        (i32.const 0) (i32.const -1)))
      br $more)))
    ;; d: randomness
    (if (call $is (i32.const 100)) (then
      (loop $more (drop (call $random (i32.const 1048576) (i32.const 65536))) br $more)))
    ;; f: a write of millions of pieces that are all empty
    (if (call $is (i32.const 102)) (then (loop $more
      (drop (call $write (i32.const 1) (i32.const 65536) (i32.const 300000) (i32.const 0)))
      br $more)))
    i32.const 0)
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    ;; b: the body gets longer at its end
    (if (call $is (i32.const 98)) (then (loop $more
      (drop (call $set_buffer (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 1024) (i32.const 65536)))
      br $more)))
    ;; i: it gets longer at its beginning, byte by byte
    (if (call $is (i32.const 105)) (then (loop $more
      (drop (call $set_buffer (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 1)))
      br $more)))
    ;; g: it is read again and again
    (if (call $is (i32.const 103)) (then (loop $more
      (drop (call $get_buffer (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
      br $more)))
    i32.const 0))
