//! What surrounds a run: variables, folders, the account. Read once, passed down, and replaced by a sample in tests.
//!
//! Invariant: paths are resolved here exactly as the docker CLI and buildx resolve them; nobody else reads a variable.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

/// The context that is always there and has no files.
pub const DEFAULT_CONTEXT: &str = "default";
/// The endpoint of the default context.
pub const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// The variables that name folders with files that docker, buildx and BuildKit read.
const FOLDERS: [&str; 6] = [
    "DOCKER_CONFIG",
    "BUILDX_CONFIG",
    "DOCKER_CERT_PATH",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

/// Variables, folders and account of one run.
#[derive(Clone, Debug)]
pub struct Surroundings {
    variables: BTreeMap<String, String>,
    working_folder: PathBuf,
    home: PathBuf,
    user: u32,
    root: PathBuf,
}

impl Surroundings {
    /// Reads the environment of this process; called once, by `main`.
    pub fn of_this_process() -> Self {
        let variables = env::vars_os()
            .map(|(name, value)| {
                (
                    name.to_string_lossy().into_owned(),
                    value.to_string_lossy().into_owned(),
                )
            })
            .collect();
        let working_folder = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Self::new(
            variables,
            working_folder,
            rustix::process::geteuid().as_raw(),
        )
    }

    /// Makes surroundings of the given variables; the home is HOME, as for docker.
    pub fn new(variables: BTreeMap<String, String>, working_folder: PathBuf, user: u32) -> Self {
        let home = variables
            .get("HOME")
            .filter(|home| !home.is_empty())
            .map_or_else(|| PathBuf::from("/"), PathBuf::from);
        Self {
            variables,
            working_folder,
            home,
            user,
            root: PathBuf::from("/"),
        }
    }

    /// Takes system folders such as `/etc` from below `root`: a sample tree instead of this machine.
    #[must_use]
    pub fn with_root(mut self, root: PathBuf) -> Self {
        self.root = root;
        self
    }

    /// Returns the surroundings of a copy of this machine's files that lies below `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> Self {
        let moved = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        let mut variables = self.variables.clone();
        for name in FOLDERS {
            if let Some(folder) = self.folder(name) {
                let folder = moved(&folder).display().to_string();
                variables.insert(name.to_owned(), folder);
            }
        }
        Self {
            variables,
            working_folder: moved(&self.working_folder),
            home: moved(&self.home),
            user: self.user,
            root: root.join(self.root.strip_prefix("/").unwrap_or(&self.root)),
        }
    }

    /// Returns the variable if it is set and not empty, as docker and buildx see it.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns all variables.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Returns the folder that the user works in: the project.
    pub fn working_folder(&self) -> &Path {
        &self.working_folder
    }

    /// Returns the account's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the numeric user id.
    pub fn user(&self) -> u32 {
        self.user
    }

    /// Returns where a system folder such as `/etc/docker` lies.
    pub fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns rekit's own directory.
    pub fn rekit_home(&self) -> PathBuf {
        self.folder("REKIT_HOME")
            .or_else(|| Some(self.folder("XDG_STATE_HOME")?.join("rekit")))
            .unwrap_or_else(|| self.home.join(".local/state/rekit"))
    }

    /// Returns the docker CLI's directory.
    pub fn docker_config(&self) -> PathBuf {
        self.folder("DOCKER_CONFIG")
            .unwrap_or_else(|| self.home.join(".docker"))
    }

    /// Returns the directory of buildx's store.
    pub fn buildx_store(&self) -> PathBuf {
        self.folder("BUILDX_CONFIG")
            .unwrap_or_else(|| self.docker_config().join("buildx"))
    }

    /// Returns the account's configuration directory.
    pub fn config_home(&self) -> PathBuf {
        self.folder("XDG_CONFIG_HOME")
            .unwrap_or_else(|| self.home.join(".config"))
    }

    /// Returns the account's data directory.
    pub fn data_home(&self) -> PathBuf {
        self.folder("XDG_DATA_HOME")
            .unwrap_or_else(|| self.home.join(".local/share"))
    }

    /// Returns the account's directory of sockets.
    pub fn runtime_folder(&self) -> Option<PathBuf> {
        self.folder("XDG_RUNTIME_DIR")
            .or_else(|| (self.user != 0).then(|| self.system(&format!("/run/user/{}", self.user))))
    }

    /// Returns the folders of PATH in their order.
    pub fn path_folders(&self) -> Vec<PathBuf> {
        self.variable("PATH")
            .map(|path| {
                env::split_paths(path)
                    .filter(|folder| folder.is_absolute())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Returns the endpoint of the `default` context: `DOCKER_HOST` as docker understands it, else the usual socket or the usual TLS port.
    pub fn default_endpoint(&self) -> String {
        match self.variable("DOCKER_HOST").map(str::trim) {
            Some(host) if !host.is_empty() => spell_endpoint(host),
            _ if self.wants_tls() => "tcp://localhost:2376".to_owned(),
            _ => DEFAULT_SOCKET.to_owned(),
        }
    }

    /// Returns whether docker would speak TLS to the default endpoint.
    pub fn wants_tls(&self) -> bool {
        self.variable("DOCKER_TLS_VERIFY").is_some() || self.variable("DOCKER_TLS").is_some()
    }

    /// Returns the folder of the TLS files for the default endpoint.
    pub fn certificates(&self) -> PathBuf {
        self.folder("DOCKER_CERT_PATH")
            .unwrap_or_else(|| self.docker_config())
    }

    /// Returns the folder that a variable names, relative ones below the working folder.
    fn folder(&self, name: &str) -> Option<PathBuf> {
        self.variable(name)
            .map(|path| self.working_folder.join(path))
    }
}

/// Spells an endpoint as docker does: a scheme in front, the port for TCP, the usual path for a bare `unix://`.
pub fn spell_endpoint(host: &str) -> String {
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    match scheme {
        "unix" if rest.is_empty() => DEFAULT_SOCKET.to_owned(),
        "tcp" => {
            let (authority, path) = rest
                .find('/')
                .map_or((rest, ""), |slash| rest.split_at(slash));
            let name = if authority.is_empty() {
                "localhost"
            } else {
                authority
            };
            let has_port = name.rsplit_once(':').is_some_and(|(_, port)| {
                !port.is_empty() && port.chars().all(|c| c.is_ascii_digit())
            });
            let port = if has_port { "" } else { ":2375" };
            format!("tcp://{name}{port}{path}")
        }
        _ => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(pairs: &[(&str, &str)]) -> Surroundings {
        let variables = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Surroundings::new(variables, PathBuf::from("/work"), 1000)
    }

    #[test]
    fn endpoints_are_spelt_as_docker_does() {
        for (given, spelt) in [
            ("tcp://h", "tcp://h:2375"),
            ("h:1", "tcp://h:1"),
            ("unix://", DEFAULT_SOCKET),
            ("unix:///a b", "unix:///a b"),
            ("ssh://u@h", "ssh://u@h"),
            ("npipe:////./pipe/x", "npipe:////./pipe/x"),
        ] {
            assert_eq!(spell_endpoint(given), spelt);
        }
    }

    #[test]
    fn folders_follow_docker_buildx_and_xdg() {
        let plain = surroundings(&[("HOME", "/home/u"), ("DOCKER_CONFIG", "")]);
        assert_eq!(plain.docker_config(), Path::new("/home/u/.docker"));
        assert_eq!(plain.buildx_store(), Path::new("/home/u/.docker/buildx"));
        assert_eq!(plain.rekit_home(), Path::new("/home/u/.local/state/rekit"));
        assert_eq!(plain.default_endpoint(), DEFAULT_SOCKET);
        let set = surroundings(&[
            ("HOME", "/home/u"),
            ("DOCKER_CONFIG", "cfg"),
            ("XDG_STATE_HOME", "/state"),
            ("DOCKER_TLS_VERIFY", "1"),
        ]);
        assert_eq!(set.buildx_store(), Path::new("/work/cfg/buildx"));
        assert_eq!(set.rekit_home(), Path::new("/state/rekit"));
        assert_eq!(set.default_endpoint(), "tcp://localhost:2376");
    }
}
