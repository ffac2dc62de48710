//! Signed requests in the protocols of AWS services: JSON 1.1, Query and REST.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{CollectError, xml};

/// The longest response to accept. IAM's can have megabytes.
const MOST_BYTES: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
const ATTEMPTS: u32 = 6;

/// A service: its name in hosts and permissions, and its protocol.
struct Service {
    name: &'static str,
    /// The service id, for `AWS_ENDPOINT_URL_…`.
    id: &'static str,
    /// The name in its host, for which requests are signed too.
    host: &'static str,
    /// The prefix of `X-Amz-Target`, or the version of a Query API.
    api: &'static str,
    is_global: bool,
}

const fn service(name: &'static str, id: &'static str, api: &'static str) -> Service {
    Service { name, id, host: name, api, is_global: false }
}

const SERVICES: [Service; 13] = [
    service("sts", "STS", "2011-06-15"),
    Service { is_global: true, ..service("iam", "IAM", "2010-05-08") },
    Service { is_global: true, ..service("organizations", "Organizations", "AWSOrganizationsV20161128") },
    service("secretsmanager", "Secrets Manager", "secretsmanager"),
    service("kms", "KMS", "TrentService"),
    service("cloudtrail", "CloudTrail", "CloudTrail_20131101"),
    service("events", "EventBridge", "AWSEvents"),
    service("logs", "CloudWatch Logs", "Logs_20140328"),
    Service { host: "monitoring", ..service("cloudwatch", "CloudWatch", "2010-08-01") },
    service("ec2", "EC2", "2016-11-15"),
    service("rds", "RDS", "2014-10-31"),
    service("lambda", "Lambda", ""),
    service("ecs", "ECS", "AmazonEC2ContainerServiceV20141113"),
];

/// Calls with a low quota, and the interval between two of them: the quotas are 100, 50, 50 and 2 a second.
const PACED: [(&str, Duration); 4] = [
    ("secretsmanager:ListSecrets", Duration::from_millis(12)),
    ("secretsmanager:GetResourcePolicy", Duration::from_millis(25)),
    ("secretsmanager:ListSecretVersionIds", Duration::from_millis(25)),
    ("cloudtrail:LookupEvents", Duration::from_millis(500)),
];

/// The reason why a call failed, in the service's own words.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
    status: u16,
    /// Whether the service could not be reached or did not answer in time.
    is_unanswered: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

impl Fault {
    fn of(message: impl fmt::Display) -> Self {
        Self { code: String::new(), message: message.to_string(), status: 0, is_unanswered: false }
    }

    fn unanswered(message: impl fmt::Display) -> Self {
        Self { is_unanswered: true, ..Self::of(message) }
    }

    /// Whether the same request can succeed later.
    pub(super) fn is_temporary(&self) -> bool {
        self.is_unanswered || self.is_passing()
    }

    fn is_passing(&self) -> bool {
        let code = &self.code;
        self.status >= 500 && self.status != 501
            || code.contains("Throttl")
            || code == "TooManyRequestsException"
            || code == "RequestLimitExceeded"
    }
}

pub(super) struct Client {
    credentials: SharedCredentialsProvider,
    connector: SharedHttpConnector,
    region: String,
    /// Configured endpoints by service.
    endpoints: BTreeMap<&'static str, String>,
    calls: Mutex<BTreeMap<String, u64>>,
    paced: Mutex<BTreeMap<String, Instant>>,
}

impl Client {
    pub(super) fn new(
        config: &SdkConfig,
        connector: SharedHttpConnector,
        given: Option<&str>,
    ) -> Result<Self, CollectError> {
        let wrong = |text: &str| CollectError::new(text);
        let region =
            config.region().ok_or_else(|| wrong("no Region is set; give --region or set AWS_REGION"))?;
        let credentials = config.credentials_provider().ok_or_else(|| wrong("no AWS credentials found"))?;
        let endpoint = |service: &Service| {
            let key = ServiceConfigKey::builder()
                .service_id(service.id)
                .env("AWS_ENDPOINT_URL")
                .profile("endpoint_url")
                .build();
            let own = || key.ok().and_then(|key| config.service_config()?.load_config(key));
            given.map(str::to_owned).or_else(own).or_else(|| config.endpoint_url().map(str::to_owned))
        };
        let endpoints = SERVICES.iter().filter_map(|service| Some((service.name, endpoint(service)?)));
        Ok(Self {
            endpoints: endpoints.collect(),
            credentials,
            connector,
            region: region.to_string(),
            calls: Mutex::default(),
            paced: Mutex::default(),
        })
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Returns the number of calls made, by name.
    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a call in a JSON protocol.
    pub(super) async fn json(&self, name: &str, action: &str, body: &Value) -> Result<Value, Fault> {
        let service = find(name)?;
        let target = format!("{}.{action}", service.api);
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let text = self.call(service, action, "POST", "", &headers, body.to_string()).await?;
        serde_json::from_str(&text).map_err(|error| Fault::of(format!("unexpected response: {error}")))
    }

    /// Makes a call in the Query protocol.
    pub(super) async fn query(
        &self,
        name: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, Fault> {
        let service = find(name)?;
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", service.api)])
            .extend_pairs(parameters)
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
        let text = self.call(service, action, "POST", "", &headers, form).await?;
        xml::parse(&text).ok_or_else(|| Fault::of("unexpected response: not XML"))
    }

    /// Makes a read-only call to a REST service.
    pub(super) async fn get(&self, name: &str, action: &str, path: &str) -> Result<Value, Fault> {
        let service = find(name)?;
        let text = self.call(service, action, "GET", path, &[], String::new()).await?;
        serde_json::from_str(&text).map_err(|error| Fault::of(format!("unexpected response: {error}")))
    }

    /// Makes one call, and retries it if the service throttles or fails temporarily.
    async fn call(
        &self,
        service: &Service,
        action: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<String, Fault> {
        let name = format!("{}:{action}", service.name);
        let mut wait = Duration::from_millis(200);
        for attempt in 1.. {
            self.pace(&name).await;
            *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(name.clone()).or_default() += 1;
            match self.send(service, method, path, headers, &body).await {
                Err(fault) if fault.is_passing() && attempt < ATTEMPTS => {
                    sleep(wait).await;
                    wait *= 2;
                }
                answer => return answer,
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn pace(&self, name: &str) {
        if let Some((_, pace)) = PACED.iter().find(|(paced, _)| *paced == name) {
            let at = {
                let mut paced = self.paced.lock().unwrap_or_else(PoisonError::into_inner);
                let next = paced.entry(name.to_owned()).or_insert_with(Instant::now);
                let at = (*next).max(Instant::now());
                *next = at + *pace;
                at
            };
            sleep_until(at).await;
        }
    }

    async fn send(
        &self,
        service: &Service,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<String, Fault> {
        let (base, region) = self.place(service);
        let url = format!("{}/{path}", base.trim_end_matches('/'));
        let unreachable = |error: &(dyn Error + 'static)| {
            Fault::unanswered(format!("{url} cannot be reached: {}", innermost(error)))
        };
        let credentials = self.credentials.provide_credentials().await;
        let identity = credentials.map_err(|error| Fault::of(format!("no AWS credentials: {error}")))?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(service.host)
            .time(now())
            .settings(SigningSettings::default())
            .build()
            .map_err(Fault::of)?
            .into();
        let signable =
            SignableRequest::new(method, &url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()));
        let (instructions, _) =
            sign(signable.map_err(Fault::of)?, &parameters).map_err(Fault::of)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).map_err(Fault::of)?;
        request.set_uri(url.as_str()).map_err(Fault::of)?;
        for (name, value) in instructions.headers().chain(headers.iter().copied()) {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        let answer = timeout(TIMEOUT, async {
            let answer = self.connector.call(request).await.map_err(|error| unreachable(&error))?;
            let status = answer.status().as_u16();
            let kind = answer.headers().get("x-amzn-errortype").unwrap_or_default().to_owned();
            let body = Limited::new(answer.into_body(), MOST_BYTES)
                .collect()
                .await
                .map_err(|error| unreachable(&*error))?;
            let text = String::from_utf8(body.to_bytes().to_vec()).map_err(|error| unreachable(&error))?;
            Ok((status, kind, text))
        });
        let (status, kind, text) =
            answer.await.map_err(|_| Fault::unanswered(format!("{url}: no response in 30 s")))??;
        if (200..300).contains(&status) { Ok(text) } else { Err(fault(status, &kind, &text)) }
    }

    /// The URL of a service, and the Region to sign for.
    fn place(&self, service: &Service) -> (String, String) {
        let (suffix, home) = match self.region.as_str() {
            region if region.starts_with("cn-") => ("amazonaws.com.cn", "cn-north-1"),
            region if region.starts_with("us-gov-") => ("amazonaws.com", "us-gov-west-1"),
            _ => ("amazonaws.com", "us-east-1"),
        };
        let region = if service.is_global { home } else { self.region.as_str() };
        let usual = match service.name {
            "iam" if home == "us-east-1" => format!("https://iam.{suffix}"),
            "iam" if home == "us-gov-west-1" => format!("https://iam.us-gov.{suffix}"),
            _ => format!("https://{}.{region}.{suffix}", service.host),
        };
        (self.endpoints.get(service.name).cloned().unwrap_or(usual), region.to_owned())
    }
}

fn find(name: &str) -> Result<&'static Service, Fault> {
    SERVICES
        .iter()
        .find(|service| service.name == name)
        .ok_or_else(|| Fault::of(format!("unknown service {name}")))
}

/// The innermost cause of an error. The outer layers only say "io error".
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    std::iter::successors(Some(error), |&error| error.source()).last().unwrap_or(error)
}

/// Reads an error response in JSON or XML.
fn fault(status: u16, kind: &str, body: &str) -> Fault {
    let first = |value: &Value, names: &[&str]| {
        names.iter().find_map(|name| value[*name].as_str()).unwrap_or_default().to_owned()
    };
    let value: Value = serde_json::from_str(body).ok().or_else(|| xml::parse(body)).unwrap_or_default();
    // Query has Error at the root, EC2 has Errors/Error.
    let error =
        [&value["Error"], &value["Errors"]["Error"]].into_iter().find(|it| it.is_object()).unwrap_or(&value);
    // REST has the code in a header, followed by an address.
    let kind = kind.split(':').next().unwrap_or_default();
    let code = first(error, &["__type", "Code", "code"]);
    let code = if code.is_empty() { kind } else { code.rsplit('#').next().unwrap_or_default() }.to_owned();
    let message = first(error, &["message", "Message"]);
    let message =
        if code.is_empty() && message.is_empty() { format!("HTTP status {status}") } else { message };
    Fault { code, message, status, is_unanswered: false }
}

#[expect(clippy::disallowed_methods, reason = "a signature names the time at which it was made")]
fn now() -> SystemTime {
    SystemTime::now()
}
