//! The macros that turn a row into wasm glue: decode, call, encode and record are written here, once for all rows.
//!
//! `row_link!` takes identifiers for the wasm parameters from a pool, one by one, so that the closure has exactly the
//! import's signature; everything else follows from the kinds of the row.

/// Builds the table of one family; see the module's documentation for the kinds.
macro_rules! hostcall_rows {
    ($($(#[$doc:meta])* $name:ident [$($version:ident)*] $(($flag:ident))* { $($args:tt)* } -> { $($outs:tt)* } = $handler:path;)*) => {
        /// The rows of this family.
        pub static ROWS: &[$crate::host::hostcalls::row::Row] = &[$(
            $crate::host::hostcalls::row::Row {
                name: stringify!($name),
                modules: &["env"],
                versions: &[$($crate::abi::AbiVersion::$version),*],
                params: $crate::host::hostcalls::row::row_params!([] { $($args)* } { $($outs)* }),
                returns: if $crate::host::hostcalls::row::row_flag!(may_return_nothing $($flag)*) {
                    $crate::host::hostcalls::row::Returns::StatusOrNothing
                } else {
                    $crate::host::hostcalls::row::Returns::Status
                },
                at_start: $crate::host::hostcalls::row::row_flag!(at_start $($flag)*),
                link: |linker, module, shape| $crate::host::hostcalls::row::row_link!(
                    @take linker module shape $name $handler
                    [p0 p1 p2 p3 p4 p5 p6 p7 p8 p9 p10 p11 p12]
                    (params) (words) (slices) (outs)
                    { $($args)* } { $($outs)* }
                ),
            },
        )*];
    };
}

/// Whether a flag is among those of a row.
macro_rules! row_flag {
    (may_return_nothing may_return_nothing $($rest:ident)*) => { true };
    (at_start at_start $($rest:ident)*) => { true };
    ($wanted:ident) => { false };
    ($wanted:ident $other:ident $($rest:ident)*) => {
        $crate::host::hostcalls::row::row_flag!($wanted $($rest)*)
    };
}

/// The `Param` list of a row.
macro_rules! row_params {
    ([$($done:tt)*] {} {}) => { &[$($done)*] };
    ([$($done:tt)*] { word $name:ident : $ty:ty $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Word),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] { long $name:ident : $ty:ty $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Long),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] { slice $name:ident $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Slice),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] { pairs $name:ident $(, $($rest:tt)*)? } $outs:tt) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name Pairs),] { $($($rest)*)? } $outs)
    };
    ([$($done:tt)*] {} { word $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutWord),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { token $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutWord),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { long $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutLong),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { bytes $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutBytes),] {} { $($($rest)*)? })
    };
    ([$($done:tt)*] {} { outcome $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_params!([$($done)* $crate::host::hostcalls::row::param!($name OutBytes),] {} { $($($rest)*)? })
    };
}

/// One `Param`.
macro_rules! param {
    ($name:ident $kind:ident) => {
        $crate::host::hostcalls::row::Param { name: stringify!($name), kind: $crate::host::hostcalls::row::Kind::$kind }
    };
}

/// The closure that wasmtime calls: takes identifiers for the wasm parameters from a pool, one by one, and then
/// writes decode, call and encode around the handler.
macro_rules! row_link {
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) $slices:tt $outs:tt
     { word $name:ident : $ty:ty $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) (words $($words)* [word $name $p $ty]) $slices $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) $slices:tt $outs:tt
     { long $name:ident : $ty:ty $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i64]) (words $($words)* [long $name $p $ty]) $slices $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) (slices $($slices:tt)*) $outs:tt
     { slice $name:ident $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) (words $($words)* [arg $name]) (slices $($slices)* [slice $name $p $q]) $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) (words $($words:tt)*) (slices $($slices:tt)*) $outs:tt
     { pairs $name:ident $(, $($rest:tt)*)? } $out:tt) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) (words $($words)* [arg $name]) (slices $($slices)* [pairs $name $p $q]) $outs
            { $($($rest)*)? } $out)
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { word $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) $words $slices (outs $($outs)* [write_word $name $p])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { token $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) $words $slices (outs $($outs)* [token $name $p])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { long $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32]) $words $slices (outs $($outs)* [write_long $name $p])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { bytes $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) $words $slices (outs $($outs)* [write_bytes $name $p $q])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$p:ident $q:ident $($pool:ident)*]
     (params $($params:tt)*) $words:tt $slices:tt (outs $($outs:tt)*)
     {} { outcome $name:ident $(, $($rest:tt)*)? }) => {
        $crate::host::hostcalls::row::row_link!(@take $l $m $s $n $h [$($pool)*]
            (params $($params)* [$p i32] [$q i32]) $words $slices (outs $($outs)* [write_outcome $name $p $q])
            {} { $($($rest)*)? })
    };
    (@take $l:ident $m:ident $s:ident $n:ident $h:path [$($pool:ident)*]
     (params $([$p:ident $pty:ty])*) (words $([$wkind:ident $wname:ident $($wrest:tt)*])*)
     (slices $([$skind:ident $sname:ident $sp:ident $sq:ident])*) (outs $([$okind:ident $oname:ident $($optr:ident)+])*)
     {} {}) => {{
        use $crate::host::hostcalls::row::*;
        use $crate::host::{memory, state::VmState};
        // As many as the wasm signature has.
        #[allow(clippy::too_many_arguments)]
        fn run(mut caller: wasmtime::Caller<'_, VmState>, $($p: $pty),*) -> wasmtime::Result<i32> {
            #[allow(unused_imports)]
            use $crate::abi::*;
            memory::before(&mut caller, stringify!($n))?;
            let mut call = memory::Call::new(&caller, stringify!($n));
            let profile = caller.data().world.profile;
            let stub = profile.stub(stringify!($n));
            #[allow(unused_mut)]
            let mut started = false;
            let result = 'call: {
                $( $crate::host::hostcalls::row::decode_word!('call call profile $wkind $wname $($wrest)*); )*
                let Some((data, state)) = memory::split(&mut caller) else {
                    break 'call Err(Status::InvalidMemoryAccess)
                };
                let _ = &data;
                $( $crate::host::hostcalls::row::decode_slice!('call call data state $skind $sname $sp $sq); )*
                if call.is_recorded() {
                    $( $crate::host::hostcalls::row::record_arg!(call $wkind $wname); )*
                    $( $crate::host::hostcalls::row::record_slice!(call $skind $sname); )*
                    // As the specification orders them.
                    let order: &[&str] = &[$(stringify!($wname)),*];
                    call.args.sort_by_key(|(name, _)| order.iter().position(|n| n == name));
                }
                if let Some(status) = stub {
                    break 'call Err(status);
                }
                $( $crate::host::hostcalls::row::check_out!('call data started $okind $($optr)+); )*
                let mut cx = Cx { state, effects: &mut call.effects, work: &mut call.work };
                $h(&mut cx, $($wname),*)
            };
            // A stub looks at none of its arguments.
            let result = stub.map_or(result, Err);
            // A row without results has no pattern to name and nothing to break out of.
            #[allow(unused_labels, unused_parens)]
            let status = match result {
                Ok(($($oname),*)) => 'write: {
                    $(
                        if call.is_recorded() {
                            call.returned.push((stringify!($oname), Out::value(&$oname)));
                        }
                        if let Err(status) = $crate::host::hostcalls::row::write_out!(caller $okind $oname $($optr)+) {
                            break 'write status;
                        }
                    )*
                    Status::Ok
                }
                Err(status) => {
                    if started {
                        $( $crate::host::hostcalls::row::zero_out!(caller $okind $($optr)+); )*
                    }
                    status
                }
            };
            memory::after(&mut caller, call, $crate::trace::HostcallResult::Status(status))?;
            Ok(status as i32)
        }
        match $s {
            Shape::Status => $l.func_wrap($m, stringify!($n), run)?,
            Shape::NoResult => $l.func_wrap(
                $m,
                stringify!($n),
                |caller: wasmtime::Caller<'_, VmState>, $($p: $pty),*| -> wasmtime::Result<()> {
                    run(caller, $($p),*).map(drop)
                },
            )?,
        };
        Ok(())
    }};
}

macro_rules! decode_word {
    ($label:lifetime $call:ident $profile:ident word $name:ident $p:ident $ty:ty) => {
        let $name = match <$ty as Word>::from_word($p as u32, $profile) {
            Ok(value) => value,
            Err(status) => {
                $call.args.push((stringify!($name), $crate::trace::Value::U32($p as u32)));
                break $label Err(status);
            }
        };
    };
    ($label:lifetime $call:ident $profile:ident long $name:ident $p:ident $ty:ty) => {
        let $name = $p as $ty;
    };
    ($label:lifetime $call:ident $profile:ident arg $name:ident) => {};
}

macro_rules! decode_slice {
    ($label:lifetime $call:ident $data:ident $state:ident slice $name:ident $p:ident $q:ident) => {
        let Some($name) = memory::slice($data, $p, $q) else {
            break $label Err(Status::InvalidMemoryAccess)
        };
        $call.bytes += $name.len();
    };
    ($label:lifetime $call:ident $data:ident $state:ident pairs $name:ident $p:ident $q:ident) => {
        let Some($name) = memory::slice($data, $p, $q) else {
            break $label Err(Status::InvalidMemoryAccess)
        };
        $call.bytes += $name.len();
        let $name = PairsArg::new($name);
    };
}

/// A token's pointer has to be good before anything is done.
macro_rules! check_out {
    ($label:lifetime $data:ident $started:ident token $p:ident) => {
        if memory::slice($data, $p, 4).is_none() {
            break $label Err(Status::InvalidMemoryAccess);
        }
        $started = true;
    };
    ($label:lifetime $data:ident $started:ident $kind:ident $($p:ident)+) => {};
}

/// What a token is where the call came to nothing.
macro_rules! zero_out {
    ($caller:ident token $p:ident) => {
        let _ = memory::write_word(&mut $caller, 0, $p)?;
    };
    ($caller:ident $kind:ident $($p:ident)+) => {};
}

macro_rules! write_out {
    ($caller:ident token $name:ident $p:ident) => {
        memory::write_word(&mut $caller, $name, $p)?
    };
    ($caller:ident $kind:ident $name:ident $($p:ident)+) => {
        memory::$kind(&mut $caller, $name, $($p),+)?
    };
}

macro_rules! record_arg {
    ($call:ident word $name:ident) => {
        $call.args.push((stringify!($name), Word::value($name)));
    };
    ($call:ident long $name:ident) => {
        $call.args.push((stringify!($name), $crate::trace::Value::I64($name as i64)));
    };
    ($call:ident arg $name:ident) => {};
}

macro_rules! record_slice {
    ($call:ident slice $name:ident) => {
        $call.args.push((stringify!($name), $crate::trace::Value::Bytes(::bytes::Bytes::copy_from_slice($name))));
    };
    ($call:ident pairs $name:ident) => {
        $call.args.push((stringify!($name), $name.value()));
    };
}

pub(crate) use {
    check_out, decode_slice, decode_word, hostcall_rows, param, record_arg, record_slice, row_flag, row_link,
    row_params, write_out, zero_out,
};
