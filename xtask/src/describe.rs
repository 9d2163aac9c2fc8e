//! The contracts of the services as checked-in files, made from their code.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    Failed,
    json::first_difference,
    workspace::{Member, Workspace, cargo},
};

/// Writes the files of all services, or compares them.
pub fn run(workspace: &Workspace, check: bool) -> Result<(), Failed> {
    build(workspace)?;
    let mut drifts = Vec::new();
    for service in workspace.services() {
        for (file, value) in described(workspace, service)? {
            let path = workspace.root.join(&service.folder).join(file);
            let name = format!("{}/{file}", service.folder);
            if check {
                drifts.extend(drift(&name, fs::read_to_string(&path).ok().as_deref(), &value)?);
            } else {
                write(&path, &name, &value)?;
            }
        }
    }
    if drifts.is_empty() {
        return Ok(());
    }
    drifts.iter().for_each(|drift| println!("{drift}"));
    Err(format!("{} contracts differ from the code: `cargo xtask describe`", drifts.len()).into())
}

/// Builds the services alone, with the features that a build of the whole workspace gives their
/// dependencies: otherwise most would be compiled twice.
fn build(workspace: &Workspace) -> Result<(), Failed> {
    let mut command = Command::new(cargo());
    command.args(["build", "--quiet", "--workspace"]).current_dir(&workspace.root);
    for binary in workspace.services().flat_map(|service| &service.binaries) {
        command.args(["--bin", binary]);
    }
    if command.status()?.success() { Ok(()) } else { Err("the services cannot be built".into()) }
}

/// The files' names and contents, as the service's own binary tells them.
fn described(
    workspace: &Workspace,
    service: &Member,
) -> Result<[(&'static str, Value); 2], Failed> {
    let [binary] = service.binaries.as_slice() else {
        return Err(format!("{} must have exactly one binary", service.name).into());
    };
    let output = Command::new(workspace.target.join("debug").join(binary)).arg("describe").output();
    let output = output.map_err(|error| format!("`{binary} describe` cannot run: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{binary} describe` failed ({}): {text}", output.status).into());
    }
    let mut both: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("`{binary} describe` printed no JSON: {error}"))?;
    let mut take = |part: &str| match both[part].take() {
        Value::Null => Err(format!("`{binary} describe` says nothing of '{part}'")),
        value => Ok(value),
    };
    Ok([("openapi.json", take("openapi")?), ("events.json", take("events")?)])
}

fn pretty(value: &Value) -> Result<String, Failed> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn write(path: &Path, name: &str, value: &Value) -> Result<(), Failed> {
    let text = pretty(value)?;
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    println!("written: {name}");
    Ok(fs::write(path, text)?)
}

/// Says where the file and the code differ, if they do.
fn drift(name: &str, there: Option<&str>, value: &Value) -> Result<Option<String>, Failed> {
    let place = match there {
        None => "is missing".to_owned(),
        Some(text) if *text == pretty(value)? => return Ok(None),
        Some(text) => match serde_json::from_str(text) {
            Ok(there) => match first_difference(&there, value) {
                Some(path) => format!("differs from the code at {path}"),
                None => "has the right content in another form".to_owned(),
            },
            Err(error) => format!("is not JSON: {error}"),
        },
    };
    Ok(Some(format!("{name} {place}\n    remedy: `cargo xtask describe`")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn drift_names_the_file_the_place_and_the_remedy() {
        let code = json!({ "paths": { "/a": 1 } });
        let text = pretty(&code).expect("it is JSON");
        let drifted = |there| drift("a/openapi.json", there, &code).expect("it can be compared");
        assert_eq!(drifted(Some(&text)), None);
        for (there, place) in [
            (Some("{\"paths\": {\"/a\": 2}}"), "$.paths['/a']"),
            (Some("{\"paths\": {\"/a\": 1}}"), "another form"),
            (Some("{"), "not JSON"),
            (None, "missing"),
        ] {
            let said = drifted(there).expect("it drifted");
            assert!(said.contains(place) && said.contains("cargo xtask describe"), "{said}");
            assert!(said.starts_with("a/openapi.json "), "{said}");
        }
    }
}
