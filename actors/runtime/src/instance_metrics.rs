//! What agents tell of their instances with each heartbeat, exported for Prometheus under the instance's tenant and id.
//!
//! Kept in memory only: of the last heartbeat, until the instance is deleted. The number of instances is bounded, since
//! each is eight series; those that find no place are counted.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coffer_domain::ids::{InstanceId, TenantId};
use coffer_ports::telemetry::{Described, Kind};
use coffer_protocol::report;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, IntGauge, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Instances that are exported at most.
pub const MAX_EXPORTED: usize = 2000;

const LABELS: &[&str] = &["tenant", "instance"];

/// A series of one instance: what it is called, and where a heartbeat has it.
struct Series {
    described: Described,
    value: fn(&report::Metrics) -> Option<f64>,
}

const SERIES: [Series; 7] = [
    Series {
        described: Described::gauge("coffer_instance_connections", LABELS, "Open client connections of the engine."),
        value: |metrics| metrics.connections.map(as_float),
    },
    Series {
        described: Described::counter(
            "coffer_instance_queries_total",
            LABELS,
            "Statements executed since the engine started.",
        ),
        value: |metrics| metrics.queries_total.map(as_float),
    },
    Series {
        described: Described::counter(
            "coffer_instance_cpu_seconds_total",
            LABELS,
            "CPU time of engine and agent since the engine started.",
        ),
        value: |metrics| metrics.cpu_seconds_total,
    },
    Series {
        described: Described::gauge("coffer_instance_memory_used_bytes", LABELS, "Resident memory of the engine."),
        value: |metrics| metrics.memory_used_bytes.map(as_float),
    },
    Series {
        described: Described::gauge("coffer_instance_volume_used_bytes", LABELS, "Bytes in use on the data volume."),
        value: |metrics| metrics.volume_used_bytes.map(as_float),
    },
    Series {
        described: Described::gauge("coffer_instance_volume_total_bytes", LABELS, "Size of the data volume."),
        value: |metrics| metrics.volume_total_bytes.map(as_float),
    },
    Series {
        described: Described::counter(
            "coffer_instance_engine_restarts_total",
            LABELS,
            "Times that the agent restarted a crashed engine since the agent started.",
        ),
        value: |metrics| Some(as_float(metrics.engine_restarts_total)),
    },
];

const LEFT_OUT: Described = Described::gauge(
    "coffer_instances_not_exported",
    &[],
    "Instances whose metrics are left out, since too many are exported already.",
);

/// Every metric of this file.
pub const DESCRIBED: [Described; 8] = [
    SERIES[0].described,
    SERIES[1].described,
    SERIES[2].described,
    SERIES[3].described,
    SERIES[4].described,
    SERIES[5].described,
    SERIES[6].described,
    LEFT_OUT,
];

/// What agents have told last. Cheap to clone.
#[derive(Clone)]
pub struct InstanceMetrics {
    told: Arc<Mutex<Told>>,
    descriptions: Arc<Vec<Desc>>,
    left_out: IntGauge,
}

#[derive(Default)]
struct Told {
    exported: HashMap<InstanceId, (TenantId, report::Metrics)>,
    left_out: std::collections::HashSet<InstanceId>,
}

impl InstanceMetrics {
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let mut descriptions = Vec::new();
        for series in &SERIES {
            let Described { name, help, labels, .. } = series.described;
            descriptions.extend(GaugeVec::new(Opts::new(name, help), labels)?.desc().into_iter().cloned());
        }
        let left_out = IntGauge::new(LEFT_OUT.name, LEFT_OUT.help)?;
        let metrics = Self { told: Arc::default(), descriptions: Arc::new(descriptions), left_out };
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.clone()))?;
        Ok(metrics)
    }

    /// An agent has told these.
    pub fn tell(&self, tenant: &TenantId, instance: InstanceId, metrics: &report::Metrics) {
        let mut told = self.lock();
        if let Some((_, known)) = told.exported.get_mut(&instance) {
            known.clone_from(metrics);
        } else if told.exported.len() < MAX_EXPORTED {
            told.left_out.remove(&instance);
            told.exported.insert(instance, (tenant.clone(), metrics.clone()));
        } else {
            told.left_out.insert(instance);
        }
        self.count_left_out(&told);
    }

    /// The instance is gone.
    pub fn forget(&self, instance: InstanceId) {
        let mut told = self.lock();
        told.exported.remove(&instance);
        told.left_out.remove(&instance);
        self.count_left_out(&told);
    }

    /// Instances that are exported.
    pub fn len(&self) -> usize {
        self.lock().exported.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn count_left_out(&self, told: &Told) {
        self.left_out.set(i64::try_from(told.left_out.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for InstanceMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Taken out first: agents are not kept waiting for the text to be made.
        let told: Vec<(String, String, report::Metrics)> = {
            let told = self.lock();
            let exported = told.exported.iter();
            exported.map(|(id, (tenant, metrics))| (tenant.to_string(), id.to_string(), metrics.clone())).collect()
        };
        SERIES.iter().flat_map(|series| families(series, &told)).collect()
    }
}

fn families(series: &Series, told: &[(String, String, report::Metrics)]) -> Vec<MetricFamily> {
    let Described { name, help, labels, kind } = series.described;
    let values = told.iter().filter_map(|(tenant, instance, metrics)| {
        let value = (series.value)(metrics)?;
        Some(([tenant.as_str(), instance.as_str()], value))
    });
    let options = Opts::new(name, help);
    let made = match kind {
        Kind::Counter => CounterVec::new(options, labels).map(|counters| {
            values.for_each(|(labels, value)| Counter::inc_by(&counters.with_label_values(&labels), value.max(0.0)));
            counters.collect()
        }),
        Kind::Gauge | Kind::Histogram => GaugeVec::new(options, labels).map(|gauges| {
            values.for_each(|(labels, value)| Gauge::set(&gauges.with_label_values(&labels), value));
            gauges.collect()
        }),
    };
    // The names are valid: registering has made the same descriptions.
    made.unwrap_or_default().into_iter().filter(|family| !family.get_metric().is_empty()).collect()
}

/// Exact up to 2^53, which is all that Prometheus has.
fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;
    use uuid::Uuid;

    use super::*;

    fn tenant() -> TenantId {
        TenantId("shop".into())
    }

    fn id(number: usize) -> InstanceId {
        InstanceId(Uuid::from_u128(number as u128))
    }

    fn text(registry: &Registry) -> String {
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
    }

    #[test]
    fn what_an_agent_tells_is_exported_until_its_instance_is_gone() {
        let registry = Registry::new();
        let metrics = InstanceMetrics::register(&registry).unwrap();
        let told = report::Metrics {
            connections: Some(3),
            queries_total: Some(70),
            cpu_seconds_total: Some(1.5),
            ..report::Metrics::default()
        };
        metrics.tell(&tenant(), id(1), &told);
        metrics.tell(&tenant(), id(1), &report::Metrics { queries_total: Some(71), ..told });
        let exported = text(&registry);
        let labels = format!("{{instance=\"{}\",tenant=\"shop\"}}", id(1));
        for line in [
            format!("coffer_instance_connections{labels} 3"),
            format!("coffer_instance_queries_total{labels} 71"),
            format!("coffer_instance_cpu_seconds_total{labels} 1.5"),
            "# TYPE coffer_instance_queries_total counter".to_owned(),
            "# TYPE coffer_instance_connections gauge".to_owned(),
        ] {
            assert!(exported.lines().any(|known| known == line), "{line} is missing:\n{exported}");
        }
        assert!(!exported.contains("coffer_instance_memory_used_bytes{"), "what is not known is not told");
        metrics.forget(id(1));
        assert!(!text(&registry).contains(&id(1).to_string()));
    }

    #[test]
    fn beyond_the_bound_instances_are_left_out_and_counted() {
        let registry = Registry::new();
        let metrics = InstanceMetrics::register(&registry).unwrap();
        for number in 0..MAX_EXPORTED + 2 {
            metrics.tell(&tenant(), id(number), &report::Metrics::default());
        }
        assert_eq!(metrics.len(), MAX_EXPORTED);
        assert!(text(&registry).contains("coffer_instances_not_exported 2"));
        metrics.forget(id(0));
        metrics.tell(&tenant(), id(MAX_EXPORTED), &report::Metrics::default());
        assert_eq!(metrics.len(), MAX_EXPORTED);
        assert!(text(&registry).contains("coffer_instances_not_exported 1"));
    }
}
