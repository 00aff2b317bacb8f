;; Hands malformed header maps to the hostcalls that take one, and logs what each returned.
(module
  (import "env" "proxy_set_header_map_pairs" (func $set (param i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "set ?")
  (data (i32.const 80) "call ?")
  (data (i32.const 256) "\ff\ff\ff\ff") ;; four billion pairs
  (data (i32.const 272) "\01\00\00\00\ff\ff\ff\7f\01\00\00\00a\00") ;; a name of two gigabytes
  (data (i32.const 304) "\01\00\00\00\01\00\00\00\01\00\00\00axbx") ;; no NUL
  (data (i32.const 336) "\01\00\00\00\01\00\00\00\01\00\00\00a\00b\00more") ;; something behind the end
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 65536)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func $say (param $status i32) (param $text i32) (param $length i32)
    (i32.store8 (i32.sub (i32.add (local.get $text) (local.get $length)) (i32.const 1))
      (i32.add (i32.const 48) (local.get $status)))
    (drop (call $log (i32.const 2) (local.get $text) (local.get $length))))
  (func $try (param $at i32) (param $length i32)
    (call $say (call $set (i32.const 5) (local.get $at) (local.get $length)) (i32.const 64) (i32.const 5))
    (call $say
      (call $call (i32.const 64) (i32.const 3) (local.get $at) (local.get $length) (i32.const 0) (i32.const 0)
        (local.get $at) (local.get $length) (i32.const 1000) (i32.const 0))
      (i32.const 80) (i32.const 6)))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $try (i32.const 256) (i32.const 3))
    (call $try (i32.const 256) (i32.const 4))
    (call $try (i32.const 272) (i32.const 14))
    (call $try (i32.const 304) (i32.const 16))
    (call $try (i32.const 336) (i32.const 20))
    ;; More than a map may have.
    (call $try (i32.const 0) (i32.const 131072))
    i32.const 0))
