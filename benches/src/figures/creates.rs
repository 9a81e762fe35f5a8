//! POST of an instance, accepted and durable, against actix-web that writes the same rows to bare RocksDB.
//!
//! The cloud answers nothing meanwhile: only the acceptance is measured.

use coffer_domain::{command::Envelope, ids::TenantId};
use coffer_runtime::store::{Store, StoreError};

use crate::{
    Failure,
    figures::reads::keep_answer,
    http::{
        bare::Rows,
        child::{Serve, Server},
        client::{self, Extent, Load},
        home::{self, Home, Tenant},
    },
    in_system,
    measure::{Scale, median},
    one_partition::OnePartition,
    samples,
    table::{Line, Target},
};

const CONNECTIONS: usize = 64;
/// Tenants that order at the same time.
const TENANTS: usize = 16;
/// The body of an order.
pub const ORDER: &str = r#"{"instance": {"name": "orders", "flavorRef": "1", "volume": {"size": 1},
    "databases": [{"name": "orders"}, {"name": "invoices"}]}}"#;

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let (ours, limit) = (Home::new()?, Home::new()?);
    let tenants = (0..scale.of(TENANTS, 2)).map(|number| ours.tenant(&format!("tenant-{number}")));
    let tenants = tenants.collect::<Result<Vec<Tenant>, _>>()?;
    let plane = Server::start(Serve::Plane, ours.path())?;
    keep_answer(&plane, &limit, "created", &tenants[0].post("/instances", ORDER))?;
    std::fs::write(home::rows(limit.path()), serde_json::to_vec(&rows_of_a_create()?)?)?;
    let bare = Server::start(Serve::Bare, limit.path())?;

    let extent = Extent { span: scale.round(), ..Extent::endless(scale.of(CONNECTIONS, 4)) };
    let requests: Vec<Vec<u8>> = tenants.iter().map(|tenant| tenant.post("/instances", ORDER)).collect();
    let bare_request = client::request("POST", "/created", "", ORDER);
    let (mut one, mut many, mut limits, mut p50, mut p99) = (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..=scale.rounds() {
        let (requests, single, bare_request) = (requests.clone(), requests[0].clone(), bare_request.clone());
        let mut of_many: Load =
            client::load(plane.address, extent.clone(), move |number| requests[number % requests.len()].clone())?;
        let of_one = client::load(plane.address, extent.clone(), move |_| single.clone())?;
        let of_bare = client::load(bare.address, extent.clone(), move |_| bare_request.clone())?;
        if round > 0 {
            many.push(of_many.per_second());
            p50.push(of_many.latencies.percentile_ms(0.5));
            p99.push(of_many.latencies.percentile_ms(0.99));
            one.push(of_one.per_second());
            limits.push(of_bare.per_second());
        }
    }
    let (limit, what) = (median(&limits), "actix-web and the same rows in bare RocksDB, synced");
    Ok(vec![
        Line::new("POST instance, 16 tenants", "/s", median(&many)).against(what, limit).target(Target::Share(0.5)),
        Line::new("… p50 at 64 connections", "ms", median(&p50)),
        Line::new("… p99 at 64 connections", "ms", median(&p99)),
        Line::new("POST instance, one tenant", "/s", median(&one)).against(what, limit).target(Target::Share(0.5)),
    ])
}

fn rows_of_a_create() -> Result<Rows, Failure> {
    let (tenant, id) = (TenantId("one".into()), samples::instance_id(0));
    rows_of(&tenant, |_| Ok(()), samples::envelope(&tenant, id, samples::create(id, &samples::vault())))
}

/// What the acceptance of one command writes, on a store that `fill` has made ready.
pub fn rows_of(
    tenant: &TenantId,
    fill: impl FnOnce(&Store) -> Result<(), StoreError>,
    command: Envelope,
) -> Result<Rows, Failure> {
    let directory = tempfile::tempdir()?;
    fill(&Store::open(directory.path())?)?;
    in_system(async {
        let partition = OnePartition::start(directory.path(), tenant).await?;
        partition.record();
        partition.ask(command).await?;
        let batches = partition.recorded();
        partition.stop().await;
        let writes = batches.into_iter().flat_map(|batch| batch.writes);
        Ok(writes.map(|write| (write.key, write.value)).collect())
    })
}
