//! The same state change over HTTP as a virtual object of a durable execution engine makes: read 1 KB, change it, have it
//! synced, answer. Here it is `restart` of an instance that is in no actor's memory; each request takes another one.
//! The agents are silent: what they would do later is not part of the change.

use std::{env, net::SocketAddr};

use coffer_domain::{command::Command, ids::TenantId};
use coffer_runtime::store::Store;

use crate::{
    Failure,
    figures::creates::rows_of,
    http::{
        child::{Serve, Server},
        client::{self, Extent},
        home::{self, Home, Tenant},
    },
    measure::{Latencies, Scale, median},
    samples::{self, Fill},
    table::{Line, Target},
};

const CONNECTIONS: usize = 64;
const TENANTS: usize = 16;
/// Changes of a round.
const CHANGES: usize = 4_000;
const RESTART: &str = r#"{"restart": {}}"#;
/// Where a Restate listens that takes its turns in this run; `ops/testbed/restate/run` sets it.
const RESTATE: &str = "COFFER_BENCH_RESTATE";
/// What Restate 1.7.12 did on two cores with 64 connections in an earlier run, with an object in Rust.
const RESTATE_RECORDED: f64 = 1_384.0;

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let (ours, limit) = (Home::new()?, Home::new()?);
    let (changes, rounds) = (scale.of(CHANGES, 40), scale.rounds());
    let tenants = (0..scale.of(TENANTS, 2)).map(|number| ours.tenant(&format!("tenant-{number}")));
    let tenants = tenants.collect::<Result<Vec<Tenant>, _>>()?;
    {
        let store = ours.store()?;
        let share = changes * (rounds + 1) / tenants.len() + 1;
        tenants.iter().try_for_each(|tenant| samples::fill(&store, &tenant.id, 0..share, Fill::Whole))?;
    }
    std::fs::write(home::rows(limit.path()), serde_json::to_vec(&rows_of_a_restart()?)?)?;
    let plane = Server::start(Serve::Plane, ours.path())?;
    std::fs::write(home::answers(limit.path()).join("restarted"), "")?;
    let bare = Server::start(Serve::Bare, limit.path())?;

    let restate: Option<SocketAddr> = env::var(RESTATE).ok().map(|address| address.parse()).transpose()?;
    let (mut figures, mut limits, mut peers, mut latencies) = (vec![], vec![], vec![], Latencies::default());
    let bare_request = client::request("POST", "/restarted", "", RESTART);
    for round in 0..=rounds {
        let extent = Extent { requests: round * changes..(round + 1) * changes, ..Extent::endless(CONNECTIONS) };
        let (tenants, bare_request) = (tenants.clone(), bare_request.clone());
        let requests: Vec<Vec<u8>> = extent
            .requests
            .clone()
            .map(|number| {
                let instance = samples::instance_id(number / tenants.len());
                tenants[number % tenants.len()].post(&format!("/instances/{instance}/action"), RESTART)
            })
            .collect();
        let first = extent.requests.start;
        let changed = client::load(plane.address, extent.clone(), move |number| requests[number - first].clone())?;
        let written = client::load(bare.address, extent.clone(), move |_| bare_request.clone())?;
        if let Some(restate) = restate {
            let extent = Extent { span: scale.round(), ..extent };
            let restart = |number| client::request("POST", &format!("/instance/{number}/restart"), "", "");
            peers.push(client::load(restate, extent, restart)?.per_second());
        }
        if round > 0 {
            figures.push(changed.per_second());
            limits.push(written.per_second());
            latencies.extend(changed.latencies);
        }
    }
    let figure = median(&figures);
    let mut lines = vec![
        Line::new("state change over HTTP, 64 connections", "/s", figure)
            .against("actix-web and the same rows in bare RocksDB, synced", median(&limits))
            .target(Target::Share(0.5)),
        Line::new("… the same", "/s", figure)
            .against("Restate 1.7.12, an object in Rust, recorded in an earlier run", RESTATE_RECORDED)
            .target(Target::Times(10.0)),
    ];
    // The first round warms it up. No target: the object is in a slower language than the one that was recorded.
    if let [_, peers @ ..] = peers.as_slice() {
        let peer = "Restate 1.7.12, an object in JavaScript";
        lines.push(Line::new("… the same", "/s", figure).against(peer, median(peers)));
    }
    lines.push(Line::new("… p50", "ms", latencies.percentile_ms(0.5)));
    lines.push(Line::new("… p99", "ms", latencies.percentile_ms(0.99)).target(Target::AtMost(20.0)));
    Ok(lines)
}

fn rows_of_a_restart() -> Result<crate::http::bare::Rows, Failure> {
    let tenant = TenantId("one".into());
    let fill = |store: &Store| samples::fill(store, &tenant, 0..1, Fill::Whole);
    rows_of(&tenant, fill, samples::envelope(&tenant, samples::instance_id(0), Command::Restart))
}
