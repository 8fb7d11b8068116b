//! `initialize`, `shutdown` and `rpc.discover`. `exit`, `$/cancelRequest` and the end of input are the loop's.

use super::acting;
use super::call::Call;
use super::discover::{self, Described};
use super::table::Table;
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
    config: Option<Value>,
}

/// Who a session says it is: the actor of the audit log.
#[derive(Debug, Default)]
pub(super) struct Client(std::sync::OnceLock<String>);

impl Client {
    /// The client's name, as `initialize` told it.
    pub fn name(&self) -> &str {
        self.0.get().map_or("unnamed", String::as_str)
    }
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
    if options.config.is_some() {
        return Err(Error::Config {
            setting: "initializationOptions.config".into(),
            reason: "the configuration is given when the server starts: --config FILE".into(),
            position: None,
        });
    }
    if let Some(ClientInfo { name }) = params.client_info {
        // A second `initialize` does not change who the client is.
        let _ = call.session.slot::<Client>().0.set(name);
    }
    Ok(Initialized {
        server_info: ServerInfo {
            name: env!("CARGO_PKG_NAME"),
            version: env!("CARGO_PKG_VERSION"),
        },
        protocol: PROTOCOL,
        capabilities: Capabilities { methods },
        environments: call.environments.all().iter().map(|one| one.row()).collect(),
        default: call.environments.default_name().map(str::to_owned),
    })
}

async fn shutdown(_: Nothing, call: Call) -> Result<()> {
    call.session.shut_down();
    Ok(())
}

/// No parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}
