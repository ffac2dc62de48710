//! A certificate authority for one server.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::folder::Folder;

/// Writes `ca.pem`, and `server.pem` and `server.key` for `localhost`, `127.0.0.1` and [`PRODUCTION_NAME`]. Returns the
/// path of `ca.pem`.
pub(super) fn write_certificates(folder: &Folder) -> Result<PathBuf, String> {
    let certificates = make().map_err(|error| format!("no certificate: {error}"))?;
    folder.write("server.pem", &certificates.server)?;
    folder.write("server.key", &certificates.key)?;
    folder.write("ca.pem", &certificates.authority)
}

/// The name of a production server that the test server stands in for.
const PRODUCTION_NAME: &str = "db.production.example";

struct Certificates {
    authority: String,
    server: String,
    key: String,
}

fn make() -> Result<Certificates, rcgen::Error> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.distinguished_name.push(DnType::CommonName, "secretcache test authority");
    let authority_key = KeyPair::generate()?;
    let authority = parameters.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(parameters, authority_key);

    let names = ["localhost", "127.0.0.1", PRODUCTION_NAME].map(str::to_owned);
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, "localhost");
    let key = KeyPair::generate()?;
    let server = parameters.signed_by(&key, &issuer)?.pem();
    Ok(Certificates { authority, server, key: key.serialize_pem() })
}
