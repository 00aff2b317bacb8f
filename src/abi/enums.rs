//! The enums of the ABI, by the numbers and names of the specification.
//!
//! `name()` is what people read: the specification's name in snake_case.

use std::fmt;

macro_rules! abi_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* #[doc = concat!("`", $text, "`")] $variant = $number,)* }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The value with this number; `None` for a number that the specification does not have.
            pub fn from_u32(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// The number on the wire.
            pub fn number(self) -> u32 {
                self as u32
            }

            /// The specification's name in snake_case.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

abi_enum! {
    /// What a hostcall returns. 5, 9 and 11 are not in the specification; only the C++ host uses them.
    Status {
        Ok = 0 "ok",
        NotFound = 1 "not_found",
        BadArgument = 2 "bad_argument",
        SerializationFailure = 3 "serialization_failure",
        ParseFailure = 4 "parse_failure",
        BadExpression = 5 "bad_expression",
        InvalidMemoryAccess = 6 "invalid_memory_access",
        Empty = 7 "empty",
        CasMismatch = 8 "cas_mismatch",
        ResultMismatch = 9 "result_mismatch",
        InternalFailure = 10 "internal_failure",
        BrokenConnection = 11 "broken_connection",
        Unimplemented = 12 "unimplemented",
    }
}

abi_enum! {
    /// Severity of a log message.
    LogLevel {
        Trace = 0 "trace",
        Debug = 1 "debug",
        Info = 2 "info",
        Warn = 3 "warn",
        Error = 4 "error",
        Critical = 5 "critical",
    }
}

abi_enum! {
    /// What a stream callback asks for. Hosts know further numbers; the specification has these two.
    Action {
        Continue = 0 "continue",
        Pause = 1 "pause",
    }
}

abi_enum! {
    /// The buffers that `proxy_get_buffer_bytes` and its kin can name.
    BufferType {
        HttpRequestBody = 0 "http_request_body",
        HttpResponseBody = 1 "http_response_body",
        DownstreamData = 2 "downstream_data",
        UpstreamData = 3 "upstream_data",
        HttpCallResponseBody = 4 "http_call_response_body",
        GrpcCallMessage = 5 "grpc_call_message",
        VmConfiguration = 6 "vm_configuration",
        PluginConfiguration = 7 "plugin_configuration",
        ForeignFunctionArguments = 8 "foreign_function_arguments",
    }
}

abi_enum! {
    /// The header maps that `proxy_get_header_map_value` and its kin can name.
    MapType {
        HttpRequestHeaders = 0 "http_request_headers",
        HttpRequestTrailers = 1 "http_request_trailers",
        HttpResponseHeaders = 2 "http_response_headers",
        HttpResponseTrailers = 3 "http_response_trailers",
        GrpcReceiveInitialMetadata = 4 "grpc_receive_initial_metadata",
        GrpcReceiveTrailingMetadata = 5 "grpc_receive_trailing_metadata",
        HttpCallResponseHeaders = 6 "http_call_response_headers",
        HttpCallResponseTrailers = 7 "http_call_response_trailers",
    }
}

abi_enum! {
    /// Which side closed a TCP connection.
    PeerType {
        Unknown = 0 "unknown",
        Local = 1 "local",
        Remote = 2 "remote",
    }
}

abi_enum! {
    /// The streams that `proxy_continue_stream` and `proxy_close_stream` can name.
    StreamType {
        HttpRequest = 0 "http_request",
        HttpResponse = 1 "http_response",
        Downstream = 2 "downstream",
        Upstream = 3 "upstream",
    }
}

abi_enum! {
    /// The kinds of metric.
    MetricType {
        Counter = 0 "counter",
        Gauge = 1 "gauge",
        Histogram = 2 "histogram",
    }
}
