;; Asks for a property in `_initialize`, which only some hosts allow.
(module
  (import "env" "proxy_get_property" (func $property (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "plugin_name")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "_initialize")
    (drop (call $property (i32.const 16) (i32.const 11) (i32.const 0) (i32.const 4))))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1)))
