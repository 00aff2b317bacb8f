//! Prometheus' text format: the plugins' metrics, and a few numbers of the server's own.
//!
//! Names of plugins' metrics are made to fit: what Prometheus does not allow in a name becomes `_`, and two metrics that
//! become one name that way are told apart by the label `metric`, which holds what the plugin called it.

use crate::abi::MetricType;
use crate::host::Population;
use crate::host::store::metrics::Sample;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What one worker counts. Each has its own, so that they do not fight for a cache line.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that were answered, by the hundreds of their status; the first place is for those that were not.
    pub requests: [AtomicU64; 6],
    /// Connections that were accepted.
    pub connections: AtomicU64,
    /// Those that have ended.
    pub connections_ended: AtomicU64,
    /// Traps.
    pub traps: AtomicU64,
}

impl Counters {
    /// Counts a request that has ended.
    pub fn request(&self, status: Option<u16>) {
        let class = usize::from(status.unwrap_or(0) / 100);
        let counter = self.requests.get(class).unwrap_or(&self.requests[0]);
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The page: what the workers counted, what lives in their hosts, and the plugins' metrics.
pub fn render(workers: &[Counters], hosts: &[Population], plugins: &[Sample]) -> String {
    let mut page = String::new();
    own(workers, hosts, &mut page);
    of_plugins(plugins, &mut page);
    page
}

fn own(workers: &[Counters], hosts: &[Population], page: &mut String) {
    let sum = |pick: &dyn Fn(&Counters) -> &AtomicU64| {
        workers.iter().map(|worker| pick(worker).load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    };
    let living = |pick: &dyn Fn(&Population) -> usize| hosts.iter().map(|host| pick(host) as u64).sum();
    head(page, "pwtest_http_requests_total", "counter", "Requests that have ended, by the class of their status.");
    for (class, label) in ["none", "1xx", "2xx", "3xx", "4xx", "5xx"].iter().enumerate() {
        let count = sum(&|worker| &worker.requests[class]);
        let _ = writeln!(page, "pwtest_http_requests_total{{status=\"{label}\"}} {count}");
    }
    let accepted = sum(&|worker| &worker.connections);
    let open = accepted.saturating_sub(sum(&|worker| &worker.connections_ended));
    let rows: [(&str, &str, &str, u64); 7] = [
        ("pwtest_connections_total", "counter", "Connections that were accepted.", accepted),
        ("pwtest_connections_open", "gauge", "Connections that are open.", open),
        ("pwtest_requests_open", "gauge", "Requests under way.", living(&|host| host.exchanges)),
        ("pwtest_vms", "gauge", "VMs of plugins.", living(&|host| host.vms)),
        ("pwtest_plugin_contexts", "gauge", "Plugin contexts.", living(&|host| host.plugin_contexts)),
        ("pwtest_stream_contexts", "gauge", "Contexts of requests.", living(&|host| host.stream_contexts)),
        ("pwtest_traps_total", "counter", "Traps of plugins.", sum(&|worker| &worker.traps)),
    ];
    for (name, kind, help, value) in rows {
        head(page, name, kind, help);
        let _ = writeln!(page, "{name} {value}");
    }
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn of_plugins(plugins: &[Sample], page: &mut String) {
    // One family has one kind: another one of the same name gets its kind as a suffix.
    let mut families: BTreeMap<String, (MetricType, Vec<&Sample>)> = BTreeMap::new();
    for metric in plugins {
        let kind = metric.kind;
        let mut name = sanitised(&metric.name);
        while families.get(&name).is_some_and(|(other, _)| *other != kind) {
            name = format!("{name}_{}", kind.name());
        }
        families.entry(name).or_insert_with(|| (kind, Vec::new())).1.push(metric);
    }
    for (name, (kind, metrics)) in families {
        let kind = match kind {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "summary",
        };
        let _ = writeln!(page, "# TYPE {name} {kind}");
        let several = metrics.len() > 1;
        for metric in metrics {
            let labels = match several {
                true => format!("{{metric=\"{}\"}}", label(&metric.name)),
                false => String::new(),
            };
            let _ = match metric.kind {
                MetricType::Counter | MetricType::Gauge => writeln!(page, "{name}{labels} {}", metric.value),
                MetricType::Histogram => {
                    writeln!(page, "{name}_sum{labels} {}\n{name}_count{labels} {}", metric.sum, metric.recorded)
                }
            };
        }
    }
}

/// A name as Prometheus allows it. The server's own begin with `pwtest_`, and nobody else's do.
fn sanitised(name: &[u8]) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let mut out: String = name.iter().map(|byte| if fits(*byte) { char::from(*byte) } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|first: char| first.is_ascii_digit()) || out.starts_with("pwtest_") {
        out.insert(0, '_');
    }
    out
}

/// The value of a label.
fn label(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn metric(name: &'static str, kind: MetricType, value: u64) -> Sample {
        Sample { name: Bytes::from_static(name.as_bytes()), kind, value, recorded: 2, sum: 30 }
    }

    /// The page's part that belongs to plugins.
    fn page(metrics: &[Sample]) -> String {
        let mut page = String::new();
        of_plugins(metrics, &mut page);
        page
    }

    // Prometheus' exposition format: names are `[a-zA-Z_:][a-zA-Z0-9_:]*`, labels escape `\`, `"` and line feeds.
    #[test]
    fn names_are_made_to_fit_and_stay_apart() {
        let metrics = [
            metric("requests.total", MetricType::Counter, 3),
            metric("requests-total", MetricType::Counter, 4),
            metric("0\"\n\\", MetricType::Gauge, 5),
            metric("", MetricType::Gauge, 6),
            metric("pwtest_traps_total", MetricType::Gauge, 7),
            metric("size", MetricType::Histogram, 9),
        ];
        assert_eq!(
            page(&metrics),
            "# TYPE _ gauge\n_ 6\n\
             # TYPE _0___ gauge\n_0___ 5\n\
             # TYPE _pwtest_traps_total gauge\n_pwtest_traps_total 7\n\
             # TYPE requests_total counter\nrequests_total{metric=\"requests.total\"} 3\n\
             requests_total{metric=\"requests-total\"} 4\n\
             # TYPE size summary\nsize_sum 30\nsize_count 2\n"
        );
        let twice = [metric("a", MetricType::Counter, 1), metric("a", MetricType::Gauge, 2)];
        assert_eq!(page(&twice), "# TYPE a counter\na 1\n# TYPE a_gauge gauge\na_gauge 2\n");
        let labels = [metric("a\"\n\\", MetricType::Counter, 1), metric("a...", MetricType::Counter, 2)];
        assert_eq!(page(&labels), "# TYPE a___ counter\na___{metric=\"a\\\"\\n\\\\\"} 1\na___{metric=\"a...\"} 2\n");
    }

    #[test]
    fn workers_are_added_up() {
        let (one, two) = (Counters::default(), Counters::default());
        for status in [Some(200), Some(204), Some(503), None, Some(99), Some(999)] {
            one.request(status);
        }
        two.request(Some(200));
        two.connections.store(3, Ordering::Relaxed);
        one.connections_ended.store(1, Ordering::Relaxed);
        let population = Population { vms: 2, plugin_contexts: 3, stream_contexts: 4, exchanges: 5 };
        let page = render(&[one, two], &[population, population], &[]);
        for line in [
            "pwtest_http_requests_total{status=\"2xx\"} 3",
            "pwtest_http_requests_total{status=\"5xx\"} 1",
            "pwtest_http_requests_total{status=\"none\"} 3",
            "pwtest_connections_total 3",
            "pwtest_connections_open 2",
            "pwtest_vms 4",
            "pwtest_plugin_contexts 6",
            "pwtest_stream_contexts 8",
            "pwtest_requests_open 10",
            "# TYPE pwtest_traps_total counter",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} in\n{page}");
        }
    }
}
