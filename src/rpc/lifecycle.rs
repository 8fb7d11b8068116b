//! `initialize`, `shutdown` and `rpc.discover`. `exit`, `$/cancelRequest` and the end of input are the loop's.

use super::acting;
use super::call::Call;
use super::discover::{self, Described};
use super::table::Table;
use crate::config::Brought;
use crate::environment::EnvironmentRow;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the protocol that `docs/protocol.md` describes.
const PROTOCOL: u32 = 1;

/// The name is OpenRPC's own.
const DISCOVER: &str = "rpc.discover";

pub(super) fn register(table: &mut Table) {
    table.method("shutdown", "Announces `exit`", &[], shutdown);
    let mut methods = table.names();
    methods.extend(["initialize", DISCOVER]);
    methods.sort_unstable();
    let summary = "Says who the client is; optional";
    table.method("initialize", summary, &[], move |params, call| {
        initialize(params, call, methods.clone())
    });
    let mut described = table.described();
    let summary = "This document";
    described.push(Described::method::<Nothing, Map<String, Value>>(DISCOVER, summary, &[]));
    table.method(DISCOVER, summary, &[], move |Nothing {}, _| {
        let document = discover::document(&described, &[acting::progress()]);
        async move { Ok(document) }
    });
}

/// Language clients send many members; all but ours are ignored.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Initialize {
    client_info: Option<ClientInfo>,
    initialization_options: Option<InitializationOptions>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ClientInfo {
    name: String,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
struct InitializationOptions {
    protocol: Option<u32>,
    /// `default` and `environments`, as in the configuration file.
    config: Option<Map<String, Value>>,
}

#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    server_info: ServerInfo,
    protocol: u32,
    capabilities: Capabilities,
    environments: Vec<EnvironmentRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

#[derive(Clone, Serialize, JsonSchema)]
struct ServerInfo {
    name: &'static str,
    version: &'static str,
}

#[derive(Clone, Serialize, JsonSchema)]
struct Capabilities {
    methods: Vec<&'static str>,
}

async fn initialize(
    params: Initialize,
    call: Call,
    methods: Vec<&'static str>,
) -> Result<Initialized> {
    let options = params.initialization_options.unwrap_or_default();
    if let Some(wanted) = options.protocol.filter(|wanted| *wanted != PROTOCOL) {
        return Call::invalid(format!(
            "this server speaks protocol {PROTOCOL}, the client wants {wanted}: update the older one"
        ));
    }
    if let Some(config) = options.config {
        configure(&config, &call).map_err(below_config)?;
    }
    if let Some(ClientInfo { name }) = params.client_info {
        call.client().introduce(name);
    }
    Ok(Initialized {
        server_info: ServerInfo {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        },
        protocol: PROTOCOL,
        capabilities: Capabilities { methods },
        environments: call.environments.all().iter().map(|one| one.row()).collect(),
        default: call.environment(None).ok().map(|one| one.name().to_owned()),
    })
}

/// Takes in what a client configures.
fn configure(config: &Map<String, Value>, call: &Call) -> Result<()> {
    let brought = Brought::read(config)?;
    let default = brought.default.clone();
    call.environments.join(brought)?;
    if let Some(default) = default {
        call.client().prefer(default);
    }
    Ok(())
}

/// A setting's path from the parameters on.
fn below_config(error: Error) -> Error {
    let Error::Config { setting, reason, position } = error else { return error };
    let dot = if setting.is_empty() { "" } else { "." };
    let setting = format!("initializationOptions.config{dot}{setting}");
    Error::Config { setting, reason, position }
}

async fn shutdown(_: Nothing, call: Call) -> Result<()> {
    call.session.shut_down();
    Ok(())
}

/// No parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}
