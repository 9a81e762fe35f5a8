//! From `kill -9` to work: 100,000 instances, 1,000 of them in the middle of a workflow.

use std::time::Instant;

use crate::{
    Failure,
    figures::creates::ORDER,
    http::{
        child::{Serve, Server},
        client::{self, Extent},
        home::{Home, Tenant},
    },
    measure::Scale,
    samples::{self, Fill},
    table::{Line, Target},
};

const TENANTS: usize = 32;
const INSTANCES: usize = 100_000;
const WORKFLOWS: usize = 1_000;

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let (instances, workflows) = (scale.of(INSTANCES, 200), scale.of(WORKFLOWS, 20));
    let tenants = scale.of(TENANTS, 4);
    let home = Home::new()?;
    let tenants = (0..tenants).map(|number| home.tenant(&format!("tenant-{number}")));
    let tenants = tenants.collect::<Result<Vec<Tenant>, _>>()?;
    {
        let (store, share) = (home.store()?, instances / tenants.len());
        for (number, tenant) in tenants.iter().enumerate() {
            samples::fill(&store, &tenant.id, number * share..(number + 1) * share, Fill::Whole)?;
        }
    }
    let killed = Server::start(Serve::Plane, home.path())?;
    let orders: Vec<Vec<u8>> = tenants.iter().map(|tenant| tenant.post("/instances", ORDER)).collect();
    let extent = Extent { requests: 0..workflows, ..Extent::endless(16) };
    client::load(killed.address, extent, move |number| orders[number % orders.len()].clone())?;
    killed.kill();

    let started = Instant::now();
    let plane = Server::start(Serve::Plane, home.path())?;
    let answered = |request: &[u8]| {
        let answer = client::ask(plane.address, request)?;
        match answer.status {
            200 => Ok(started.elapsed().as_secs_f64()),
            status => Err(Failure::from(format!("{status}: {}", answer.body))),
        }
    };
    let read = answered(&tenants[0].get("/instances"))?;
    let written = answered(&tenants[0].post("/instances", ORDER))?;
    Ok(vec![
        Line::new("kill -9 to the first answered GET, 100,000 instances, 1,000 workflows", "s", read)
            .target(Target::AtMost(10.0)),
        Line::new("… to the first accepted POST", "s", written).target(Target::AtMost(10.0)),
    ])
}
