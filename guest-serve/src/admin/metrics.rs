//! Metrics in the text format that Prometheus scrapes.
//!
//! No label has a tenant's name: their number would be unbounded.

use std::fmt;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use guest_tenants::Counts as TenantCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::{Admin, tenants};
use crate::catalog::GuestStatus;
use crate::monitor::{Counts, LATENCY_BOUNDS};

/// The content type of the format.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn text(State(admin): State<Admin>) -> Response {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Guests(admin)));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text).into_response()
}

/// The guests at the moment of a scrape.
#[derive(Debug)]
struct Guests(Admin);

/// A counter or a gauge by guest: its name, what it counts, and where it is.
type Count = (&'static str, &'static str, fn(&Counts) -> u64);

const COUNTERS: [Count; 2] = [
    ("serve_slow_calls", "Calls that the slow lane made", |counts| counts.slow),
    ("serve_limited", "Requests of tenants that made more calls than they may", |counts| counts.limited),
];

const GAUGES: [Count; 2] = [
    ("serve_active_tenants", "Tenants that made a call lately", |counts| counts.tenants),
    ("serve_instances", "Instances of guests", |counts| counts.instances),
];

impl Collector for Guests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let catalog = &self.0.catalog;
        let counts = catalog.monitor().counts();
        let help = "Requests for functions, by the status of the response";
        let mut family = encoder.encode_descriptor("serve_requests", help, None, MetricType::Counter)?;
        for (guest, counts) in &counts {
            for (status, count) in &counts.by_status {
                let labels = [("guest", guest.as_str().to_owned()), ("status", status.to_string())];
                ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
            }
        }

        let help = "From the last byte of a request for a function to the end of its call";
        let mut family =
            encoder.encode_descriptor("serve_request", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (guest, counts) in &counts {
            let labels = [("guest", guest.as_str())];
            let (seconds, buckets) = (seconds(counts.microseconds), buckets(counts));
            let all = counts.buckets.iter().sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(seconds, all, &buckets, None)?;
        }

        for (name, help, count) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (guest, counts) in &counts {
                ConstCounter::new(count(counts)).encode(family.encode_family(&[("guest", guest.as_str())])?)?;
            }
        }
        for (name, help, count) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (guest, counts) in &counts {
                gauge(count(counts)).encode(family.encode_family(&[("guest", guest.as_str())])?)?;
            }
        }
        let help = "Memory of instances of guests";
        let mut family =
            encoder.encode_descriptor("serve_instance_memory", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for (guest, counts) in &counts {
            gauge(counts.memory).encode(family.encode_family(&[("guest", guest.as_str())])?)?;
        }

        let statuses = catalog.statuses();
        self.programs(&mut encoder, &statuses)?;
        let help = "The number of the version that is served, or 0 for none";
        let mut family = encoder.encode_descriptor("serve_version", help, None, MetricType::Gauge)?;
        for status in &statuses {
            let version = status.deployment.as_ref().map_or(0, |deployment| deployment.version);
            gauge(version).encode(family.encode_family(&[("guest", status.name.as_str())])?)?;
        }
        let help = "Whether the newest version of the guest is not served because of an error";
        let mut family = encoder.encode_descriptor("serve_deployment_failed", help, None, MetricType::Gauge)?;
        for status in &statuses {
            gauge(status.error.is_some().into()).encode(family.encode_family(&[("guest", status.name.as_str())])?)?;
        }
        Ok(())
    }
}

/// A counter of tenants of programs: its name, what it counts, and where it is.
type TenantCount = (&'static str, &'static str, fn(&TenantCounts) -> u64);

const TENANT_COUNTERS: [TenantCount; 3] = [
    ("serve_tenants_woken", "Tenants that were woken from memory", |counts| counts.woken),
    ("serve_tenants_loaded", "Tenants that were read from the disk", |counts| counts.loaded),
    ("serve_tenants_slept", "Tenants that fell asleep", |counts| counts.slept),
];

impl Guests {
    /// Tenants of programs.
    fn programs(&self, encoder: &mut DescriptorEncoder<'_>, statuses: &[GuestStatus]) -> fmt::Result {
        let monitor = self.0.catalog.monitor();
        let deployments = statuses.iter().filter_map(|status| status.deployment.as_ref());
        let programs: Vec<_> =
            deployments.filter(|deployment| deployment.config.program.is_some()).map(|guest| &guest.name).collect();
        let places: Vec<_> =
            programs.iter().filter_map(|guest| Some((*guest, tenants::places(&self.0, monitor, guest)?))).collect();
        let help = "Tenants of programs: awake, asleep in memory, or on the disk alone";
        let mut family = encoder.encode_descriptor("serve_tenants", help, None, MetricType::Gauge)?;
        for (guest, places) in &places {
            for (state, tenants) in [("awake", places.awake), ("asleep", places.asleep), ("disk", places.disk)] {
                let labels = [("guest", guest.as_str()), ("state", state)];
                gauge(tenants).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Bytes of the images of programs' tenants that sleep in memory, and of those on the disk";
        let mut family =
            encoder.encode_descriptor("serve_tenant_images", help, Some(&Unit::Bytes), MetricType::Gauge)?;
        for (guest, places) in &places {
            for (place, bytes) in [("memory", places.memory_bytes), ("disk", places.disk_bytes)] {
                let labels = [("guest", guest.as_str()), ("place", place)];
                gauge(bytes).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, count) in TENANT_COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for guest in &programs {
                let counts = monitor.guest(guest).meter().counts();
                ConstCounter::new(count(&counts)).encode(family.encode_family(&[("guest", guest.as_str())])?)?;
            }
        }
        Ok(())
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a figure of a metric")]
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// The buckets with their upper bounds in seconds.
fn buckets(counts: &Counts) -> Vec<(f64, u64)> {
    let bounds = LATENCY_BOUNDS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
    bounds.zip(counts.buckets).collect()
}
