//! The name that a plugin calls a gRPC service by: a cluster, or a serialised `envoy.config.core.v3.GrpcService`.
//!
//! Envoy tries the message first, and it takes any bytes that parse: many short names do, for unknown fields are
//! no mistake in protobuf. Then no target is set, and Envoy 1.40 aborts (seen with "", "email" and "auth-grpc").

use crate::host::protobuf::{self, Field};

/// What a service's name turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Service {
    /// No message: the name of a cluster.
    Cluster(Vec<u8>),
    /// A message that names a cluster, or a target of Google's client.
    Message(Vec<u8>),
    /// A message without a target.
    Unset,
}

/// `GrpcService.envoy_grpc`, `GrpcService.google_grpc`.
const TARGETS: [u64; 2] = [1, 2];
/// Fields of `GrpcService` that hold messages: the targets, `timeout`, `initial_metadata`, `retry_policy`.
const MESSAGES: [u64; 5] = [1, 2, 3, 5, 6];

/// Reads a name as Envoy does.
pub fn read_service(name: &[u8]) -> Service {
    let Some(fields) = protobuf::fields(name) else { return Service::Cluster(name.to_vec()) };
    let mut target = None;
    for (number, value) in fields {
        let Field::Bytes(value) = value else { continue };
        if !MESSAGES.contains(&number) {
            continue;
        }
        let Some(inner) = protobuf::fields(value) else { return Service::Cluster(name.to_vec()) };
        if TARGETS.contains(&number) {
            // `EnvoyGrpc.cluster_name`, `GoogleGrpc.target_uri`.
            let text = protobuf::bytes(&inner, 1);
            if std::str::from_utf8(text).is_err() {
                return Service::Cluster(name.to_vec());
            }
            target = Some(text.to_vec());
        }
    }
    target.map_or(Service::Unset, Service::Message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_envoy_reads_them() {
        let cluster = |name: &[u8]| Service::Cluster(name.to_vec());
        for name in [&b"svc"[..], b"dead", b"nohost", b"authz", b"grpc_service", b"\xff"] {
            assert_eq!(read_service(name), cluster(name));
        }
        for name in [&b""[..], b"email", b"auth-grpc", b"cd"] {
            assert_eq!(read_service(name), Service::Unset);
        }
        assert_eq!(read_service(b"\x0a\x05\x0a\x03svc"), Service::Message(b"svc".to_vec()));
        assert_eq!(read_service(b"\x0a\0"), Service::Message(Vec::new()));
        assert_eq!(read_service(b"\x12\x0b\x0a\x09127.0.0.1"), Service::Message(b"127.0.0.1".to_vec()));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            let _ = read_service(&bytes);
        }
    }
}
