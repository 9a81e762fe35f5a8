//! The page about the metrics, written from their descriptions.
//!
//! `COFFER_BLESS=1` rewrites it. A name or a label that changes breaks somebody's dashboard: say so in the changelog.

use std::{env, fs, path::Path};

use coffer_ports::telemetry::Kind;

const HEAD: &str = "# Metrics

`GET /metrics` of the control plane, in Prometheus' text format. It names tenants and instances: it is for operators, and
no tenant may reach it. This page is written from the source by a test; edit the descriptions there.

How full a thing with a bound is: `coffer_bounded_used / coffer_bounded_limit`, by `thing`. An alert on `> 0.8` covers all
of them, also those of later versions. The per-instance series are what the instance's agent said with its last heartbeat;
they end with the instance, and above 2,000 instances of a process the rest is left out and counted.

| metric | type | labels | what it says |
|---|---|---|---|
";

#[test]
fn the_page_about_the_metrics_is_true() {
    let mut described = coffer_runtime::metrics::described();
    described.extend(coffer_rest::telemetry::described());
    described.sort_by_key(|metric| metric.name);
    let mut text = HEAD.to_owned();
    for metric in described {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        text += &format!("| `{}` | {kind} | {} | {} |\n", metric.name, labels.join(", "), metric.help);
    }
    text += "\n## Happenings\n\nEvery line of the log with the field `happening` has one of these names:\n\n";
    for happenings in [coffer_runtime::telemetry::HAPPENINGS, coffer_rest::telemetry::HAPPENINGS] {
        for name in happenings {
            text += &format!("- `{name}`\n");
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ops/docs/metrics.md");
    if env::var_os("COFFER_BLESS").is_some() {
        fs::write(&page, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(&page).unwrap(), text, "COFFER_BLESS=1 rewrites {}", page.display());
}
