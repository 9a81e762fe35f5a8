//! GET one instance, and a page of 20, over HTTP with authentication, against actix-web that returns the same bytes.

use std::fs;

use crate::{
    Failure,
    http::{
        child::{Serve, Server},
        client::{self, Extent},
        home::{self, Home, Tenant},
    },
    measure::{Scale, median},
    samples::{self, Fill},
    table::{Line, Target},
};

const CONNECTIONS: usize = 64;

/// A tenant with this many instances.
struct Case {
    tenant: Tenant,
    instances: usize,
}

impl Case {
    fn new(home: &Home, instances: usize) -> Result<Self, Failure> {
        let tenant = home.tenant(&format!("of-{instances}"))?;
        samples::fill(&home.store()?, &tenant.id, 0..instances, Fill::ViewsOnly)?;
        Ok(Self { tenant, instances })
    }

    /// Another instance with each number.
    fn one(&self) -> impl Fn(usize) -> Vec<u8> + Send + Sync + 'static {
        let (tenant, instances) = (self.tenant.clone(), self.instances);
        move |number| tenant.get(&format!("/instances/{}", samples::instance_id(number * 7919 % instances)))
    }

    /// Another page with each number.
    fn page(&self) -> impl Fn(usize) -> Vec<u8> + Send + Sync + 'static {
        let (tenant, instances) = (self.tenant.clone(), self.instances);
        // Not among the last ones, where a page may be short.
        let markers: Vec<_> = {
            let mut ids: Vec<_> = (0..instances).map(samples::instance_id).collect();
            ids.sort_unstable();
            ids.truncate(instances - instances / 20);
            ids
        };
        move |number| tenant.get(&format!("/instances?marker={}", markers[number * 7919 % markers.len()]))
    }
}

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let (ours, limit) = (Home::new()?, Home::new()?);
    let few = Case::new(&ours, scale.of(1_000, 50))?;
    let some = Case::new(&ours, scale.of(10_000, 100))?;
    let many = Case::new(&ours, scale.of(100_000, 200))?;
    let plane = Server::start(Serve::Plane, ours.path())?;
    keep_answer(&plane, &limit, "one", &some.one()(0))?;
    keep_answer(&plane, &limit, "page", &some.page()(0))?;
    let bare = Server::start(Serve::Bare, limit.path())?;

    let extent = Extent { span: scale.round(), ..Extent::endless(scale.of(CONNECTIONS, 4)) };
    let load = |server: &Server, request: &dyn Fn(usize) -> Vec<u8>| {
        // Made beforehand: the client has its share of the cores.
        let requests: Vec<Vec<u8>> = (0..scale.of(20_000, 100)).map(request).collect();
        let cpu_before = server.cpu_s()?;
        let load =
            client::load(server.address, extent.clone(), move |number| requests[number % requests.len()].clone())?;
        let cpu_us = (server.cpu_s()? - cpu_before) * 1e6 / load.answered as f64;
        Ok::<_, Failure>((load.per_second(), cpu_us))
    };
    let from_memory = |name: &'static str| move |_: usize| client::request("GET", &format!("/{name}"), "", "");
    let mut figures: [Side; 8] = Default::default();
    for round in 0..=scale.rounds() {
        let sides = [
            load(&plane, &some.one())?,
            load(&bare, &from_memory("one"))?,
            load(&plane, &some.page())?,
            load(&bare, &from_memory("page"))?,
            load(&plane, &few.one())?,
            load(&plane, &many.one())?,
            load(&plane, &few.page())?,
            load(&plane, &many.page())?,
        ];
        if round > 0 {
            figures.iter_mut().zip(sides).for_each(|(figures, side)| figures.add(side));
        }
    }
    let [one, one_bare, page, page_bare, one_few, one_many, page_few, page_many] = &figures;
    let (handler, fewer) = ("actix-web, same bytes from memory", "of 1,000");
    let line = |what: &str, ours: &Side, limit: &Side, against: &str, share| {
        Line::new(what, "/s", median(&ours.per_second)).against(against, median(&limit.per_second)).target(share)
    };
    let cpu = |ours: &Side, limit: &Side| {
        Line::new("… CPU time of the server for each", "µs", median(&ours.cpu_us))
            .against(handler, median(&limit.cpu_us))
    };
    Ok(vec![
        line("GET one instance of 10,000", one, one_bare, handler, Target::Share(0.6)),
        cpu(one, one_bare),
        line("GET a page of 20 of 10,000", page, page_bare, handler, Target::Share(0.6)),
        cpu(page, page_bare),
        line("GET one instance of 100,000", one_many, one_few, fewer, Target::Share(0.8)),
        line("GET a page of 20 of 100,000", page_many, page_few, fewer, Target::Share(0.8)),
    ])
}

/// The rounds of one kind of request on one server.
#[derive(Default)]
struct Side {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Side {
    fn add(&mut self, (per_second, cpu_us): (f64, f64)) {
        self.per_second.push(per_second);
        self.cpu_us.push(cpu_us);
    }
}

/// Has the bare server answer what the control plane answers.
pub fn keep_answer(plane: &Server, limit: &Home, name: &str, request: &[u8]) -> Result<(), Failure> {
    let answer = client::ask(plane.address, request)?;
    if answer.status >= 400 {
        return Err(format!("{}: {}", answer.head, answer.body).into());
    }
    fs::write(home::answers(limit.path()).join(name), answer.body)?;
    Ok(())
}
