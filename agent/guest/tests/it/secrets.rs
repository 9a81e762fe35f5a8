//! No password of a tenant's user lies on the volume in clear: not in the journal, the logs, nor the engine's files.

use std::{fs, path::Path};

use coffer_protocol::{command::AgentCommand, secret::Secret};

use crate::{
    control::Control,
    guest::{Guest, brisk, prepare, user},
    unprivileged,
};

/// Files below `directory` that hold these bytes.
fn files_with(directory: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if path.is_file() {
            let content = fs::read(&path).unwrap();
            if content.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn passwords_are_nowhere_on_the_volume() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let _agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        let passwords = ["first-Zx81qPv", "second-Kw27rTb", "third-Lm49sYc"];
        let users = vec![user("one", passwords[0], &["a"])];
        control.execute("c1", AgentCommand::Prepare(prepare(&["a"], users))).await.unwrap();
        let users = vec![user("two", passwords[1], &["a"])];
        control.execute("c2", AgentCommand::CreateUsers { users: users.clone() }).await.unwrap();
        // A failure must not tell it either.
        control.execute("c3", AgentCommand::CreateUsers { users }).await.unwrap_err();
        control.execute("c4", AgentCommand::EnableRoot { password: Secret::new(passwords[2]) }).await.unwrap();
        control.execute("c5", AgentCommand::Restart).await.unwrap();

        // The scan finds what is there: a value that the engine keeps, and a file of ours.
        let planted = "planted-Qn63uWd";
        let insert = format!("INSERT INTO t VALUES ('{planted}')");
        guest.query("one", passwords[0], "a", &["CREATE TABLE t (v TEXT) ENGINE=InnoDB", &insert, "SELECT 1"]).await;
        control.execute("c6", AgentCommand::Restart).await.unwrap();
        assert!(files_with(&guest.data, planted).iter().any(|path| path.contains("mysql/data/a/")));
        assert!(files_with(&guest.data, "create_users").iter().any(|path| path.ends_with("journal")));

        for password in passwords {
            assert_eq!(files_with(guest.root(), password), Vec::<String>::new());
        }
    });
}
