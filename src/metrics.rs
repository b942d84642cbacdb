//! Metrics for the operator, as Prometheus reads them (`GET {path}metrics`).
//!
//! Nothing in the server reads a metric back: who decides by a number keeps that number itself.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use peerstar_core::protocol::cause::Cause;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::incoming::Inbound;

type Label = [(&'static str, &'static str); 1];
type Labelled = Family<Label, Counter>;

/// Metrics of one server. Counting never waits.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Number of WebSockets that are admitted and open.
    pub connections: Gauge,
    /// Number of pages that have members, or parked messages.
    pub pages: Gauge,
    /// Number of joins that were accepted.
    pub joins: Counter,
    /// Time from the cause of an election until all members were sent the new host, in seconds.
    pub election_seconds: Histogram,
    /// Number of bytes of `RELAY` that clients sent.
    pub relayed_bytes: Counter,
    /// Number of messages that are parked for receivers that are not there yet.
    pub waiting: Gauge,
    /// Number of messages that the sender's ticket does not allow.
    pub not_allowed: Counter,
    /// Number of page actors that died and were started again.
    pub page_restarts: Counter,
    /// Number of connections that ended without a proper request, by reason.
    bad_requests: Labelled,
    /// Metrics of a node of a cluster.
    pub cluster: ClusterMetrics,
    /// Number of broken invariants, which are faults of the server's own.
    pub violations: Counter,
    elections: Labelled,
    refusals: Labelled,
    closes: Labelled,
    messages: [(&'static str, Counter); Inbound::TYPES.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("peerstar");
        let messages = Labelled::default();
        let metrics = Self {
            connections: Gauge::default(),
            pages: Gauge::default(),
            joins: Counter::default(),
            election_seconds: Histogram::new(exponential_buckets(0.000_01, 4.0, 10)),
            relayed_bytes: Counter::default(),
            waiting: Gauge::default(),
            not_allowed: Counter::default(),
            page_restarts: Counter::default(),
            bad_requests: Labelled::default(),
            cluster: ClusterMetrics::default(),
            violations: Counter::default(),
            elections: Labelled::default(),
            refusals: Labelled::default(),
            closes: Labelled::default(),
            messages: Inbound::TYPES
                .map(|name| (name, messages.get_or_create(&[("type", name)]).clone())),
            registry: Registry::default(),
        };
        registry.register("connections", "WebSockets that are open", metrics.connections.clone());
        registry.register("pages", "Pages that are open", metrics.pages.clone());
        registry.register("joins", "Joins that were let in", metrics.joins.clone());
        registry.register("elections", "Changes of host, by cause", metrics.elections.clone());
        registry.register_with_unit(
            "election",
            "From what caused an election until all were sent the new host",
            Unit::Seconds,
            metrics.election_seconds.clone(),
        );
        registry.register(
            "messages",
            "Messages from clients, by type; other: unknown types",
            messages,
        );
        registry.register_with_unit(
            "relayed",
            "RELAY, as it came in",
            Unit::Bytes,
            metrics.relayed_bytes.clone(),
        );
        registry.register(
            "waiting_messages",
            "Messages for peers that are not there yet",
            metrics.waiting.clone(),
        );
        registry.register(
            "refusals",
            "Clients that were not let in, by reason",
            metrics.refusals.clone(),
        );
        registry.register(
            "closes",
            "Members that were sent away, by reason",
            metrics.closes.clone(),
        );
        registry.register(
            "not_allowed",
            "Messages that the sender's ticket does not allow",
            metrics.not_allowed.clone(),
        );
        registry.register(
            "page_restarts",
            "Pages whose actor died and was made anew",
            metrics.page_restarts.clone(),
        );
        registry.register(
            "bad_requests",
            "Connections without a proper request, by reason",
            metrics.bad_requests.clone(),
        );
        registry.register(
            "invariant_violations",
            "Faults of the server's own",
            metrics.violations.clone(),
        );
        metrics.cluster.register(registry.sub_registry_with_prefix("cluster"));
        Self { registry, ..metrics }
    }
}

/// Metrics of one node of a cluster. All are 0 without a cluster.
#[derive(Debug, Default)]
pub struct ClusterMetrics {
    /// Time for which the lease holds, in ms.
    pub lease_left: Gauge,
    /// Number of other nodes to which there is a link.
    pub links: Gauge,
    /// Number of links that are broken.
    pub links_down: Gauge,
    /// Number of bytes that wait in links to be acknowledged.
    pub waiting_bytes: Gauge,
    /// Number of bags that were published.
    pub bags: Counter,
    /// Number of bytes in them.
    pub bag_bytes: Counter,
    /// Number of messages from other nodes that wait for the directory.
    pub inbox: Gauge,
    /// Number of other nodes that have other settings or speak another version.
    pub different_nodes: Gauge,
    /// Number of messages between nodes that were dropped unread: of another cluster, of another
    /// version, or of nobody known.
    pub refused: Counter,
    /// Number of messages of the relay for which a link had no room, of the nodes that are there.
    pub relays_dropped: Gauge,
    /// Number of pages that were taken over from another node.
    pub take_overs: Counter,
    /// Number of sessions that resumed on a page here.
    pub resumes: Counter,
    /// Number of times that this process was taken for dead.
    pub burials: Counter,
}

impl ClusterMetrics {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("lease_left_ms", "For how long this node may decide", &self.lease_left),
            ("links", "Other nodes", &self.links),
            ("links_down", "Other nodes that are not heard", &self.links_down),
            ("inbox", "Messages that wait for the directory", &self.inbox),
            (
                "different_nodes",
                "Other nodes with other settings or another version",
                &self.different_nodes,
            ),
            ("waiting_bytes", "Bytes in links, not acknowledged", &self.waiting_bytes),
            ("relays_dropped", "RELAY for which a link had no room", &self.relays_dropped),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let counters = [
            ("bags", "Bags sent to other nodes", &self.bags),
            ("bag_bytes", "Bytes in them", &self.bag_bytes),
            ("refused", "Messages in the inbox that were dropped unread", &self.refused),
            ("take_overs", "Pages taken over from another node", &self.take_overs),
            ("resumes", "Sessions that resumed on a page here", &self.resumes),
            ("burials", "Times that this process was taken for dead", &self.burials),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}

impl Metrics {
    /// Returns all metrics in OpenMetrics' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // writing to a string cannot fail
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Counts an election that ended `after` its cause.
    pub fn elected(&self, cause: Cause, after: Duration) {
        self.elections.get_or_create(&[("cause", cause.name())]).inc();
        self.election_seconds.observe(after.as_secs_f64());
    }

    /// Counts a client that was refused.
    pub fn refused(&self, close: Close) {
        self.refusals.get_or_create(&[("reason", close.name())]).inc();
    }

    /// Counts a connection that ended without a proper request.
    pub fn bad_request(&self, reason: &'static str) {
        self.bad_requests.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a member whose connection the server closed or that left.
    pub fn closed(&self, close: Close) {
        self.closes.get_or_create(&[("reason", close.name())]).inc();
    }

    /// Counts a message from a client.
    pub fn said(&self, message: &Inbound) {
        let name = message.type_name();
        if let Some((_, counter)) = self.messages.iter().find(|(known, _)| *known == name) {
            counter.inc();
        }
        if let Inbound::Relay { frame, .. } = message {
            self.relayed_bytes.inc_by(frame.len() as u64);
        }
    }
}
