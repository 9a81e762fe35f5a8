//! Manager `mysql`, flavour MariaDB, from Debian's `mariadb-server-core`.

mod accounts;
mod admin;
mod bootstrap;
mod changes;
mod config;
mod configuration;
mod names;
mod server;
mod sql;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::Command,
};

use async_trait::async_trait;
use coffer_protocol::{
    command::{AgentCommand, Database, NewPassword, User, UserChange},
    report::{Failure, Inventory},
    secret::Secret,
};

use self::{
    admin::Admin,
    configuration::{Entries, Keeper},
};
use super::{Capabilities, Datastore, NotReady, Vitals};
use crate::{failure, host::files, supervisor::settings::Settings, volume::Volume};

/// The manager's name in first-boot data.
pub const MANAGER: &str = "mysql";
/// The port that the engine listens on.
pub const PORT: u16 = 3306;

/// Where the parts of the engine lie on the volume.
#[derive(Debug, Clone)]
struct Layout {
    /// The engine's own directory.
    home: PathBuf,
    /// Its data, once they are complete.
    data: PathBuf,
    /// Data in the making.
    fresh: PathBuf,
    temporary: PathBuf,
    /// The only directory that SQL may read files from and write files to.
    exchange: PathBuf,
    log: PathBuf,
    config: PathBuf,
    pid_file: PathBuf,
    /// Statements at each start: they make the agent's account what it is to be.
    init_file: PathBuf,
    admin_password: PathBuf,
    /// What the engine is given besides its defaults.
    configuration: PathBuf,
}

impl Layout {
    fn of(volume: &Volume) -> Self {
        let home = volume.engine_directory(MANAGER);
        Self {
            data: home.join("data"),
            fresh: home.join("data.new"),
            temporary: home.join("tmp"),
            exchange: home.join("files"),
            log: home.join("engine.log"),
            config: home.join("my.cnf"),
            pid_file: home.join("engine.pid"),
            home,
            init_file: volume.agent_file("mysql-init.sql"),
            admin_password: volume.agent_file("mysql-admin"),
            configuration: volume.agent_file("mysql-configuration.json"),
        }
    }
}

/// MariaDB on one volume.
#[derive(Debug)]
pub struct Mysql {
    layout: Layout,
    listen_address: String,
    admin: Admin,
    configuration: Keeper,
}

impl Mysql {
    /// Prepares the engine's directory and the agent's password, which is made here and never leaves the volume.
    pub fn open(volume: &Volume, listen_address: &str) -> io::Result<Self> {
        let layout = Layout::of(volume);
        for directory in [&layout.home, &layout.temporary, &layout.exchange] {
            files::ensure_private_directory(directory)?;
        }
        let password = accounts::admin_password(&layout.admin_password)?;
        let admin = Admin::new(layout.data.clone(), password);
        let configuration = Keeper::open(&layout.configuration)?;
        Ok(Self { layout, listen_address: listen_address.to_owned(), admin, configuration })
    }
}

impl Mysql {
    /// Writes what the engine reads at its start.
    fn write_options(&self, settings: &Settings, values: &Entries) -> io::Result<()> {
        let options = config::render(settings, &self.listen_address, values);
        files::write_durably(&self.layout.config, options.as_bytes())?;
        let mut statements = accounts::init_statements(self.admin.password());
        statements.extend(values.iter().filter_map(|(name, entry)| entry.statement(name)).map(|set| set + ";\n"));
        files::write_durably(&self.layout.init_file, statements.as_bytes())
    }
}

#[async_trait]
impl Datastore for Mysql {
    fn capabilities(&self) -> Capabilities {
        Capabilities { databases: true, users: true, root: true, configuration: true }
    }

    fn validate(&self, command: &AgentCommand) -> Result<(), Failure> {
        names::validate(command)
    }

    async fn initialise(&self, settings: &Settings) -> Result<(), Failure> {
        bootstrap::check_version(&settings.datastore_version).await?;
        bootstrap::initialise(&self.layout, settings).await
    }

    fn command(&self, settings: &Settings) -> io::Result<Command> {
        self.configuration.begin_start()?;
        self.write_options(settings, &self.configuration.values())?;
        Ok(server::command(&self.layout))
    }

    fn is_engine(&self, arguments: &[OsString]) -> bool {
        server::serves(arguments, &self.layout.data)
    }

    fn log_file(&self) -> PathBuf {
        self.layout.log.clone()
    }

    async fn probe(&self) -> Result<Vitals, NotReady> {
        self.admin.probe().await
    }

    async fn has_database(&self, name: &str) -> Result<bool, Failure> {
        self.admin.has_database(name).await
    }

    async fn create_databases(&self, databases: &[Database]) -> Result<(), Failure> {
        self.admin.execute(databases.iter().map(sql::create_database).collect()).await
    }

    async fn drop_database(&self, name: &str) -> Result<(), Failure> {
        self.admin.execute(vec![sql::drop_database(name)]).await
    }

    async fn has_user(&self, name: &str, host: &str) -> Result<bool, Failure> {
        self.admin.has_user(name, host).await
    }

    async fn create_users(&self, users: &[User]) -> Result<(), Failure> {
        self.admin.execute(users.iter().flat_map(sql::create_user).collect()).await
    }

    async fn drop_user(&self, name: &str, host: &str) -> Result<(), Failure> {
        self.admin.execute(vec![sql::drop_user(name, host)]).await
    }

    async fn grant(&self, name: &str, host: &str, databases: &[String]) -> Result<(), Failure> {
        self.admin.execute(databases.iter().map(|database| sql::grant(name, host, database)).collect()).await
    }

    async fn revoke(&self, name: &str, host: &str, database: &str) -> Result<(), Failure> {
        changes::revoke(&self.admin, name, host, database).await
    }

    async fn change_user(&self, change: &UserChange) -> Result<(), Failure> {
        changes::change_user(&self.admin, change).await
    }

    async fn change_passwords(&self, users: &[NewPassword]) -> Result<(), Failure> {
        let statement = |user: &NewPassword| sql::set_password(&user.name, &user.host, &user.password);
        self.admin.execute(users.iter().map(statement).collect()).await
    }

    async fn enable_root(&self, password: &Secret) -> Result<(), Failure> {
        self.admin.execute(sql::superuser(accounts::ROOT, "%", password)).await
    }

    async fn disable_root(&self) -> Result<(), Failure> {
        changes::disable_root(&self.admin).await
    }

    async fn configure(
        &self,
        settings: &Settings,
        number: u64,
        values: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        configuration::apply(self, settings, number, values).await
    }

    fn restart_required(&self) -> bool {
        self.configuration.restart_required()
    }

    fn came_up(&self) -> io::Result<()> {
        self.configuration.prove()
    }

    fn fall_back(&self) -> io::Result<Option<Failure>> {
        let refused = self.configuration.fall_back()?;
        Ok(refused.map(|names| {
            failure::configuration_refused(format!("the database server does not start with this value of {names}"))
        }))
    }

    async fn inventory(&self) -> Result<Inventory, Failure> {
        self.admin.inventory().await
    }
}

/// The name of a path's last part, for messages.
fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy()
}
