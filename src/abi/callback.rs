//! The callbacks: the functions that a module exports and a host calls.

use super::AbiVersion;

/// What a callback's result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// No result.
    Nothing,
    /// 0 is false, anything else is true.
    Bool,
    /// An [`super::Action`], or a host's own number.
    Action,
}

/// Which part of a context's life a callback belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackKind {
    /// Creation, configuration and end of contexts.
    Lifecycle,
    /// HTTP streams.
    Http,
    /// TCP streams.
    Tcp,
    /// Timers, queues, foreign functions and the answers to callouts.
    Event,
}

macro_rules! callbacks {
    ($($(#[$doc:meta])* $variant:ident $export:literal $kind:ident ($($param:literal),*) -> $returns:ident;)*) => {
        /// A function that the guest exports for the host to call.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Callback { $($(#[$doc])* #[doc = concat!("`", $export, "`")] $variant,)* }

        /// Every callback, in the order of the specification.
        pub const ALL: &[Callback] = &[$(Callback::$variant,)*];

        impl Callback {
            /// The name of the export.
            pub fn export(self) -> &'static str {
                match self { $(Self::$variant => $export,)* }
            }

            /// The kind of callback.
            pub fn kind(self) -> CallbackKind {
                match self { $(Self::$variant => CallbackKind::$kind,)* }
            }

            /// The names of the parameters in ABI 0.2.x, all i32. The first one is the context.
            pub fn params(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($param),*],)* }
            }

            /// What the result means.
            pub fn returns(self) -> Returns {
                match self { $(Self::$variant => Returns::$returns,)* }
            }
        }
    };
}

callbacks! {
    OnContextCreate "proxy_on_context_create" Lifecycle ("context_id", "parent_context_id") -> Nothing;
    OnVmStart "proxy_on_vm_start" Lifecycle ("context_id", "vm_configuration_size") -> Bool;
    OnConfigure "proxy_on_configure" Lifecycle ("context_id", "plugin_configuration_size") -> Bool;
    OnValidateConfiguration "proxy_validate_configuration" Lifecycle ("context_id", "plugin_configuration_size") -> Bool;
    OnTick "proxy_on_tick" Event ("context_id") -> Nothing;
    OnNewConnection "proxy_on_new_connection" Tcp ("context_id") -> Action;
    OnDownstreamData "proxy_on_downstream_data" Tcp ("context_id", "data_size", "end_of_stream") -> Action;
    OnUpstreamData "proxy_on_upstream_data" Tcp ("context_id", "data_size", "end_of_stream") -> Action;
    OnDownstreamConnectionClose "proxy_on_downstream_connection_close" Tcp ("context_id", "close_source") -> Nothing;
    OnUpstreamConnectionClose "proxy_on_upstream_connection_close" Tcp ("context_id", "close_source") -> Nothing;
    OnRequestHeaders "proxy_on_request_headers" Http ("context_id", "num_headers", "end_of_stream") -> Action;
    OnRequestBody "proxy_on_request_body" Http ("context_id", "body_size", "end_of_stream") -> Action;
    OnRequestTrailers "proxy_on_request_trailers" Http ("context_id", "num_trailers") -> Action;
    OnRequestMetadata "proxy_on_request_metadata" Http ("context_id", "num_elements") -> Action;
    OnResponseHeaders "proxy_on_response_headers" Http ("context_id", "num_headers", "end_of_stream") -> Action;
    OnResponseBody "proxy_on_response_body" Http ("context_id", "body_size", "end_of_stream") -> Action;
    OnResponseTrailers "proxy_on_response_trailers" Http ("context_id", "num_trailers") -> Action;
    OnResponseMetadata "proxy_on_response_metadata" Http ("context_id", "num_elements") -> Action;
    OnHttpCallResponse "proxy_on_http_call_response" Event
        ("context_id", "call_id", "num_headers", "body_size", "num_trailers") -> Nothing;
    OnGrpcReceiveInitialMetadata "proxy_on_grpc_receive_initial_metadata" Event
        ("context_id", "call_id", "num_elements") -> Nothing;
    OnGrpcReceive "proxy_on_grpc_receive" Event ("context_id", "call_id", "message_size") -> Nothing;
    OnGrpcReceiveTrailingMetadata "proxy_on_grpc_receive_trailing_metadata" Event
        ("context_id", "call_id", "num_elements") -> Nothing;
    OnGrpcClose "proxy_on_grpc_close" Event ("context_id", "call_id", "status") -> Nothing;
    OnQueueReady "proxy_on_queue_ready" Event ("context_id", "queue_id") -> Nothing;
    OnForeignFunction "proxy_on_foreign_function" Event ("context_id", "function_id", "arguments_size") -> Nothing;
    OnDone "proxy_on_done" Lifecycle ("context_id") -> Bool;
    OnLog "proxy_on_log" Lifecycle ("context_id") -> Nothing;
    OnDelete "proxy_on_delete" Lifecycle ("context_id") -> Nothing;
}

impl Callback {
    /// The name without `proxy_`, as snapshots and messages show it.
    pub fn short(self) -> &'static str {
        let export = self.export();
        export.strip_prefix("proxy_").unwrap_or(export)
    }

    /// The name that a scenario's `actions` and `trap` use: without `proxy_on_`.
    pub fn subject(self) -> &'static str {
        let export = self.export();
        export.strip_prefix("proxy_on_").unwrap_or(export)
    }

    /// The callback that a scenario calls by this name, with or without its prefixes.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|c| c.export() == name || c.short() == name || c.subject() == name)
    }

    /// How many parameters the export has in a version of the ABI: the two header callbacks have no
    /// `end_of_stream` in 0.1.0.
    pub fn arity(self, version: AbiVersion) -> usize {
        match (self, version) {
            (Self::OnRequestHeaders | Self::OnResponseHeaders, AbiVersion::V0_1_0) => 2,
            _ => self.params().len(),
        }
    }

    /// Whether hosts look for this callback in modules of this version: `proxy_on_foreign_function` is of 0.2.x.
    pub fn exists_in(self, version: AbiVersion) -> bool {
        !(self == Self::OnForeignFunction && version == AbiVersion::V0_1_0)
    }
}
