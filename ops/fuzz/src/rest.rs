//! The API: no request is answered with a fault of ours.
//!
//! An input is a line `METHOD PATH` and a body. The whole application runs, without a socket, over a control plane in
//! memory that believes everything.

use std::{cell::RefCell, mem::ManuallyDrop, rc::Rc, sync::Arc};

use actix_web::{
    dev::{Service, ServiceResponse},
    http::{Method, Uri},
    rt::Runtime,
    test,
};
use coffer_rest::{Api, application, config::Config};

#[path = "../../../actors/rest/tests/api/control.rs"]
#[allow(dead_code)]
mod control;
#[path = "../../../actors/rest/tests/api/people.rs"]
#[allow(dead_code)]
mod people;

use control::{Memory, healthy};

type Call = Rc<dyn Fn(test::TestRequest) -> u16>;

thread_local! {
    /// Never dropped: a runtime cannot end after its thread's own variables.
    static API: ManuallyDrop<(Arc<Memory>, Call)> = ManuallyDrop::new(start());
}

pub fn check(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(head) = std::str::from_utf8(&data[..end]) else { return };
    let Some((method, path)) = head.split_once(' ') else { return };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), path.parse::<Uri>()) else { return };
    // What arrives on a socket has a path.
    if !uri.path().starts_with('/') || uri.authority().is_some() {
        return;
    }
    let body = data.get(end + 1..).unwrap_or_default().to_vec();
    API.with(|api| {
        let (memory, call) = &**api;
        memory.instances.lock().expect("nobody has panicked").clear();
        memory.commands.lock().expect("nobody has panicked").clear();
        memory.put(healthy(1));
        let request = test::TestRequest::with_uri(path)
            .method(method)
            // An admin comes further than others.
            .insert_header(("X-Auth-Token", people::OPERATOR))
            .insert_header(("Content-Type", "application/json"))
            .insert_header(("Accept", "application/json"))
            .set_payload(body);
        let status = call(request);
        // 501 is an answer: this service does not do that.
        assert!(status < 500 || status == 501, "{head} is answered with {status}");
    });
}

fn start() -> (Arc<Memory>, Call) {
    let runtime = Runtime::new().expect("a runtime");
    let memory = Memory::new();
    let config = Config { serve_identity: true, ..Config::default() };
    let api = Api::new(config, memory.clone(), Arc::new(people::People), prometheus::Registry::new());
    let service = runtime.block_on(test::init_service(application(api.expect("an API"))));
    let service = RefCell::new(service);
    let call = move |request: test::TestRequest| {
        let answer = service.borrow().call(request.to_request());
        match runtime.block_on(answer) {
            Ok(answer) => ServiceResponse::status(&answer).as_u16(),
            Err(error) => error.as_response_error().status_code().as_u16(),
        }
    };
    (memory, Rc::new(call))
}
