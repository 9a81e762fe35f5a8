//! The limit of the API: actix-web alone, with the API's server configuration. A GET is answered from memory; a POST
//! is answered once its rows are durable in bare RocksDB, together with those that arrived meanwhile.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, Bytes, Data},
};
use coffer_ports::log::{Space, Write};
use tokio::sync::{mpsc, oneshot};

use super::{child, home};
use crate::{Failure, bare::BareStore, in_system};

/// As many inputs as a partition takes into one batch.
const BATCH: usize = 256;
const WAITING: usize = 1024;

type Job = (Vec<Write>, oneshot::Sender<()>);
/// Key and value of each row.
pub type Rows = Vec<(Vec<u8>, Option<Vec<u8>>)>;

struct Committer {
    rows: Rows,
    number: AtomicU64,
    jobs: mpsc::Sender<Job>,
}

pub fn serve(home: &Path) -> Result<(), Failure> {
    let mut answers = Vec::new();
    for file in fs::read_dir(home::answers(home))? {
        let file = file?;
        answers.push((format!("/{}", file.file_name().to_string_lossy()), Bytes::from(fs::read(file.path())?)));
    }
    let rows: Rows = match fs::read(home::rows(home)) {
        Ok(rows) => serde_json::from_slice(&rows)?,
        Err(_) => Rows::new(),
    };
    let committer = Data::new(Committer { rows, number: AtomicU64::new(0), jobs: start_writer(home)? });
    in_system(async move {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let server = HttpServer::new(move || {
            answers.iter().cloned().fold(App::new().app_data(committer.clone()), |app, (path, answer)| {
                let after_commit = answer.clone();
                app.route(&path, web::get().to(move || std::future::ready(json(answer.clone()))))
                    .route(&path, web::post().to(move |committer, body| commit(committer, body, after_commit.clone())))
            })
        })
        .workers(workers)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        let server = tokio::task::spawn_local(server);
        child::tell(address);
        child::parent_ends().await;
        handle.stop(false).await;
        let _ = server.await;
        Ok(())
    })
}

fn json(answer: Bytes) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(answer)
}

async fn commit(committer: Data<Committer>, _body: Bytes, answer: Bytes) -> HttpResponse {
    let number = committer.number.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let own = |(key, value): &(Vec<u8>, Option<Vec<u8>>)| Write {
        space: Space::State,
        key: [key.as_slice(), number.as_slice()].concat(),
        value: value.clone(),
    };
    let rows = committer.rows.iter().map(own).collect();
    let (done, is_done) = oneshot::channel();
    if committer.jobs.send((rows, done)).await.is_err() || is_done.await.is_err() {
        return HttpResponse::InternalServerError().finish();
    }
    json(answer)
}

fn start_writer(home: &Path) -> Result<mpsc::Sender<Job>, Failure> {
    let store = BareStore::open(&home::store(home))?;
    let (jobs, mut queue) = mpsc::channel::<Job>(WAITING);
    thread::Builder::new().name("writer".into()).spawn(move || {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
            if store.write(batch.iter().flat_map(|(rows, _)| rows)).is_err() {
                return;
            }
            for (_, done) in batch.drain(..) {
                let _ = done.send(());
            }
        }
    })?;
    Ok(jobs)
}
