use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::Failed;

/// The workspace as Cargo sees it, in the few words that the checks need.
pub struct Workspace {
    /// The repository's root.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// The crates of the workspace.
    pub members: Vec<Member>,
    /// The crates from outside that this machine's build uses.
    pub external: Vec<External>,
}

/// A crate of the workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// `backline-client`
    pub name: String,
    /// `platform/client`
    pub folder: String,
    /// Its direct dependencies, inside the workspace and outside, sorted.
    pub needs: Vec<Need>,
    /// The names of its binaries.
    pub binaries: Vec<String>,
}

/// A direct dependency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The crate's name.
    pub name: String,
    /// Whether only tests use it.
    pub dev: bool,
}

/// A crate from outside.
#[derive(Clone, Debug)]
pub struct External {
    /// Its name.
    pub name: String,
    /// Its licence as an SPDX expression.
    pub licence: Option<String>,
    /// Where Cargo got it.
    pub source: String,
}

impl Workspace {
    /// Asks Cargo. Only what this machine's platform uses counts; nothing is downloaded for others.
    pub fn load() -> Result<Self, Failed> {
        let metadata = MetadataCommand::new()
            .cargo_path(cargo())
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .other_options(vec![
                "--filter-platform".into(),
                format!("{}-unknown-linux-gnu", env::consts::ARCH),
            ])
            .exec()?;
        let root = metadata.workspace_root.clone().into_std_path_buf();
        let mut members: Vec<_> =
            metadata.workspace_packages().into_iter().map(|p| member(p, &metadata)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let external = metadata.packages.iter().filter_map(external).collect();
        let target = metadata.target_directory.into_std_path_buf();
        Ok(Self { root, target, members, external })
    }

    /// The services: crates right under `musiccorp`, except the company's own tool.
    pub fn services(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_service())
    }

    /// The files that are or may become part of a commit, relative to the root, sorted.
    pub fn files(&self) -> Result<Vec<String>, Failed> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .map_err(|error| format!("git is needed to list the project's files: {error}"))?;
        if !listed.status.success() {
            return Err(String::from_utf8_lossy(&listed.stderr).into_owned().into());
        }
        let mut files: Vec<_> = String::from_utf8(listed.stdout)?
            .split_terminator('\0')
            .filter(|file| self.root.join(file).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The text of a file; none if it does not exist or is no text.
    pub fn read(&self, file: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.root.join(file)).ok()
    }
}

impl Member {
    /// Whether this is a service of the company.
    pub fn is_service(&self) -> bool {
        let no_service = ["musiccorp/tool", "musiccorp/gamedays"];
        self.layer() == "musiccorp" && !no_service.contains(&self.folder.as_str())
    }

    /// The first part of its folder: `platform`, `daemons`, `musiccorp`, ...
    pub fn layer(&self) -> &str {
        self.folder.split('/').next().unwrap_or_default()
    }
}

/// The Cargo that runs us, or the one on the path.
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn member(package: &Package, metadata: &Metadata) -> Member {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok())
        .map_or_else(String::new, ToString::to_string);
    let mut needs: Vec<_> = package
        .dependencies
        .iter()
        .map(|need| Need { name: need.name.clone(), dev: need.kind == DependencyKind::Development })
        .collect();
    needs.sort();
    needs.dedup();
    let binaries = package.targets.iter().filter(|t| t.is_bin()).map(|t| t.name.clone()).collect();
    Member { name: package.name.to_string(), folder, needs, binaries }
}

fn external(package: &Package) -> Option<External> {
    let source = package.source.as_ref()?.repr.clone();
    Some(External { name: package.name.to_string(), licence: package.license.clone(), source })
}
