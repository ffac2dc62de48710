//! OpenLDAP from Debian: a directory with a password policy that requires the previous password, an administrator who
//! can set passwords, and another user who cannot.

use super::folder::Folder;
use super::process::{self, Process, client, command, find, said, succeed};
use super::{Address, LDAP_SUFFIX};

const INSTALL: &str = "install it with: apt-get install slapd ldap-utils";

/// The parts of Active Directory's schema that changes of passwords need and OpenLDAP lacks.
const ACTIVE_DIRECTORY: &str = "
attributetype ( 1.2.840.113556.1.4.90 NAME 'unicodePwd' EQUALITY octetStringMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP top AUXILIARY MAY ( unicodePwd $ userPrincipalName ) )
";

pub(super) fn start(folder: &Folder, address: &Address) -> Result<Process, String> {
    let server = find(&["/usr/sbin/slapd"], INSTALL)?;
    let schema = folder.write("active-directory.schema", ACTIVE_DIRECTORY)?;
    let data = folder.folder("data")?;
    let mut settings = format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include {schema}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {pid}
loglevel none
defaultsearchbase {LDAP_SUFFIX}
",
        schema = schema.display(),
        pid = folder.join("pid").display(),
    );
    let mut listeners = format!("ldap://{}:{}/", address.host, address.port);
    if let Some(ca_file) = &address.ca_file {
        // TLS from the first byte; at another address of this machine, StartTLS.
        listeners = format!("ldaps://{0}:{1}/ ldap://127.0.0.2:{1}/", address.host, address.port);
        settings.push_str(&format!(
            "TLSCACertificateFile {}\nTLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            ca_file.display(),
            folder.join("server.pem").display(),
            folder.join("server.key").display()
        ));
    }
    settings.push_str(&format!(
        r#"database mdb
suffix "{LDAP_SUFFIX}"
rootdn "{user}"
rootpw "{password}"
directory {data}
maxsize 16777216
dbnosync
access to attrs=userPassword,unicodePwd by self write by dn.exact="cn=keeper,{LDAP_SUFFIX}" manage by anonymous auth by * none
access to * by users read by * none
overlay ppolicy
ppolicy_default "cn=policy,{LDAP_SUFFIX}"
"#,
        user = address.user,
        password = address.password,
        data = data.display(),
    ));
    let settings = folder.write("slapd.conf", &settings)?;
    let entries = folder.write("entries.ldif", &entries())?;
    let mut fill = command(&server, folder);
    fill.arg("-Ta").arg("-f").arg(&settings).arg("-l").arg(entries);
    succeed(fill)?;

    let mut command = command(&server, folder);
    // In the foreground, without debug output.
    command.args(["-d", "0", "-h", &listeners]);
    command.arg("-f").arg(settings);
    Process::start(command, libc::SIGTERM, folder)
}

fn entries() -> String {
    let domain = LDAP_SUFFIX.trim_start_matches("dc=").split(',').next().unwrap_or_default();
    let person = |name: &str| {
        format!(
            "dn: cn={name},{LDAP_SUFFIX}\nobjectClass: person\nobjectClass: simpleSecurityObject\ncn: {name}\nsn: {name}\nuserPassword: {name}-password\n\n"
        )
    };
    format!(
        "dn: {LDAP_SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: {domain}\no: {domain}\n\n\
         dn: ou=services,{LDAP_SUFFIX}\nobjectClass: organizationalUnit\nou: services\n\n\
         dn: cn=policy,{LDAP_SUFFIX}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n\
         pwdAttribute: userPassword\npwdSafeModify: TRUE\npwdMinLength: 10\npwdCheckQuality: 1\n\n{}{}",
        person("keeper"),
        person("stranger")
    )
}

pub(super) fn logs_in(address: &Address, password: &str) -> Result<bool, String> {
    let mut whoami = client(&find(&["/usr/bin/ldapwhoami"], INSTALL)?);
    let scheme = if address.ca_file.is_some() { "ldaps" } else { "ldap" };
    if let Some(ca_file) = &address.ca_file {
        whoami.env("LDAPTLS_CACERT", ca_file);
    }
    whoami.args(["-x", "-H", &format!("{scheme}://{}:{}", address.host, address.port)]);
    whoami.args(["-D", address.user, "-w", password]);
    let output = process::run(whoami)?;
    let said = said(&output);
    match output.status.success() {
        true => Ok(true),
        false if said.contains("Invalid credentials (49)") => Ok(false),
        false => Err(said),
    }
}
