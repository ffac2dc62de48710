//! Use of a secret: who reads it, what depends on it, and its deletion.

use super::{Check, Find, days};
use crate::audited::Audit;
use crate::finding::{Finding, Findings, Severity};
use crate::fix::{command, id_of};
use crate::snapshot::{Secret, Version};

const LIST: &[&str] = &["secretsmanager:ListSecrets"];
const MANY_DAYS: i64 = 90;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "usage.unused",
        severity: Severity::Low,
        title: "Nobody has read the secret for 90 days",
        why: "A credential that nobody needs is only a risk.",
        fix: "Make sure that nobody needs it, then delete it with a recovery window. Restoring it takes one command.",
        needs: LIST,
        counterparts: &[
            "Security Hub SecretsManager.3",
            "AWS Config secretsmanager-secret-unused",
            "prowler secretsmanager_secret_unused",
            "steampipe secretsmanager_secret_unused_90_day",
            "stave CTL.SECRETS.LIFECYCLE.DORMANT",
        ],
        find: Find::Secret(unused),
    },
    Check {
        id: "usage.never-read",
        severity: Severity::Low,
        title: "Nobody has ever read the secret",
        why: "Either the secret is not needed, or its users get the credential from somewhere else.",
        fix: "Find out where the credential is used. If it is not used, delete the secret.",
        needs: LIST,
        counterparts: &[
            "steampipe secretsmanager_secret_last_used_1_day",
            "stave CTL.SECRETS.LIFECYCLE.NEVERACCESSED",
        ],
        find: Find::Secret(never_read),
    },
    Check {
        id: "usage.not-since-rotation",
        severity: Severity::Medium,
        title: "Nobody has read the secret since it last rotated",
        why: "Programs that use the credential still have the old one. They are refused once it stops working.",
        fix: "Restart its consumers, or let them read it through a cache that refreshes.",
        needs: LIST,
        counterparts: &[],
        find: Find::Secret(not_since),
    },
    Check {
        id: "usage.no-current",
        severity: Severity::High,
        title: "The secret has no current version",
        why: "A read without a version asks for AWSCURRENT, so it fails with ResourceNotFoundException. A secret \
              created without a value has no version at all; on the day of its creation it is not yet reported.",
        fix: "Store a value, or move the label AWSCURRENT to the version that works.",
        needs: &["secretsmanager:ListSecrets", "secretsmanager:ListSecretVersionIds"],
        counterparts: &[],
        find: Find::Secret(no_current),
    },
    Check {
        id: "usage.injected",
        severity: Severity::Medium,
        title: "A consumer has the value in its environment and cannot see a rotation",
        why: "ECS resolves the entries under secrets: when a task starts, and a Lambda variable is set when the \
              function is deployed. After a rotation, they keep the old value until the next start or deployment.",
        fix: "Read the secret in the program, or run the program under something that restarts it when the secret changes.",
        needs: &["ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(injected),
    },
    Check {
        id: "usage.stage-readers",
        severity: Severity::Medium,
        title: "Someone reads AWSPREVIOUS or AWSPENDING long after the rotation",
        why: "The previous credential stops working at the next rotation at the latest, and a pending one may not work \
              yet. A program that reads either outside of a rotation is pinned to it by mistake, or someone is \
              collecting old values.",
        fix: "Make the program read AWSCURRENT. Reads in the hour after a rotation do not count: staying connected \
              through a rotation needs them.",
        needs: &["cloudtrail:LookupEvents"],
        counterparts: &[],
        find: Find::Secret(stage_readers),
    },
    Check {
        id: "usage.untagged",
        severity: Severity::Info,
        title: "The secret has no tags",
        why: "Nobody can tell who owns it, and policies based on tags do not apply to it.",
        fix: "Tag it with its owner and application.",
        needs: LIST,
        counterparts: &["Security Hub SecretsManager.5", "AWS Config tagged-secretsmanager-secret"],
        find: Find::Secret(untagged),
    },
    Check {
        id: "usage.deleted-in-use",
        severity: Severity::Critical,
        title: "A consumer still names a secret that is scheduled for deletion",
        why: "The secret can no longer be read, so the consumer will fail at its next start.",
        fix: "Restore the secret, move its consumers, then delete it.",
        needs: &["secretsmanager:ListSecrets", "ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"],
        counterparts: &["stave CTL.SECRETS.GHOST.DELETION.REFERENCED"],
        find: Find::Secret(deleted_in_use),
    },
    Check {
        id: "usage.deletion-window",
        severity: Severity::Low,
        title: "The secret is deleted after the shortest recovery window",
        why: "A job that runs once a month may not miss the secret within seven days.",
        fix: "Restore it, and delete it again with a window of 30 days.",
        needs: LIST,
        counterparts: &["stave CTL.SECRETS.LIFECYCLE.DELETION.MINWAIT"],
        find: Find::Secret(deletion_window),
    },
    Check {
        id: "usage.orphan",
        severity: Severity::Low,
        title: "The secret's database does not exist",
        why: "The secret is left over from a deleted database. If a new database gets the same name, programs would \
              send it the credential.",
        fix: "Delete the secret.",
        needs: &["secretsmanager:DescribeSecret", "rds:DescribeDBInstances", "rds:DescribeDBClusters"],
        counterparts: &["stave CTL.SECRETS.LIFECYCLE.ORPHAN.DATABASE"],
        find: Find::Secret(orphan),
    },
    Check {
        id: "usage.replica",
        severity: Severity::Medium,
        title: "A replica is out of sync, or in a Region that is not allowed",
        why: "A replica that fails to sync serves the old value. One in the wrong Region violates a commitment about \
              where data is kept.",
        fix: "Replicate again, or remove the replica.",
        needs: &["secretsmanager:DescribeSecret"],
        counterparts: &["stave CTL.SECRETS.REPLICA.NONCOMPLIANT.REGION", "stave CTL.SECRETS.REPLICA.ORPHAN"],
        find: Find::Secret(replica),
    },
    Check {
        id: "usage.database-without-secret",
        severity: Severity::Low,
        title: "A database's master password is not in Secrets Manager",
        why: "RDS can keep the master password as a secret and rotate it. Otherwise nothing rotates it.",
        fix: "Let RDS manage the master password.",
        needs: &["rds:DescribeDBInstances", "rds:DescribeDBClusters"],
        counterparts: &["stave CTL.SECRETS.INTEGRATION.RDS.NOSECRET"],
        find: Find::Account(database_without),
    },
];

/// Adds the command that deletes a secret, or says how else to remove it.
fn delete_by(audit: &Audit<'_>, finding: &mut Finding, secret: &Secret) {
    let users = users(audit, secret);
    if !users.is_empty() {
        finding.advise(format!(
            "do not delete it yet: {} names it and may read it at its next start; check whether that is still needed",
            users.join(", ")
        ));
    } else if let Some(service) = &secret.owning_service {
        finding.advise(format!("delete it through {service}, which manages it"));
    } else if let Some(region) = &secret.primary_region {
        finding.advise(format!("it is a replica: remove it from the primary in {region}"));
    } else if secret.replication_status.is_empty() {
        finding.run(delete(secret)).advise(format!(
            "first make sure that nobody needs it: ask its owner, search deployments for its name and for jobs that \
             rarely run, and check who can read it (`{}`). Within 30 days, `{}` restores it",
            command(&["secretcache", "access", id_of(secret)]),
            command(&["aws", "secretsmanager", "restore-secret", "--secret-id", &secret.arn]),
        ));
    } else {
        let regions: Vec<_> = secret.replication_status.iter().map(|it| it.region.as_str()).collect();
        finding.advise(format!(
            "make sure that nobody reads its replicas ({}), and remove them first (aws secretsmanager \
             remove-regions-from-replication): until then it cannot be deleted",
            regions.join(", ")
        ));
    }
}

fn delete(secret: &Secret) -> String {
    command(&[
        "aws",
        "secretsmanager",
        "delete-secret",
        "--secret-id",
        &secret.arn,
        "--recovery-window-in-days",
        "30",
    ])
}

fn unused(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if secret.deleted_date.is_some() {
        return;
    }
    let Some(last) = secret.last_accessed_date else { return };
    if audit.days_since(last) > MANY_DAYS {
        let seen = format!("last read {} days ago", audit.days_since(last));
        delete_by(audit, findings.add(&secret.arn, seen), secret);
    }
}

fn never_read(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_old = secret.created_date.is_some_and(|created| audit.days_since(created) > 1);
    if secret.last_accessed_date.is_none() && is_old && secret.deleted_date.is_none() {
        delete_by(audit, findings.add(&secret.arn, "no LastAccessedDate"), secret);
    }
}

fn not_since(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let (Some(read), Some(rotated)) = (secret.last_accessed_date, secret.last_rotated_date) else { return };
    // Read times are precise to the day, and the rotation itself reads. Only a gap of whole days means something.
    if audit.days_since(rotated) > 1 && read.as_second() + 86400 <= rotated.as_second() {
        let seen = format!("last read on {}, rotated on {rotated}", read.strftime("%F"));
        findings.add(&secret.arn, seen).advise("restart its consumers, or let them read through a cache");
    }
}

fn stage_readers(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const HOUR: i64 = 3600;
    let rotation = audit.account.rotation_function(secret).map(|function| function.role.as_str());
    let reads = audit.snapshot.version_reads.iter().filter(|read| read.secret_arn == secret.arn);
    let job = audit.job(&secret.arn).map(|job| job.arn.as_str());
    for read in reads.filter(|read| ![rotation, job].contains(&Some(read.principal.as_str()))) {
        // A read by version id counts for the label that the version has now.
        let labels = secret.versions.iter().find(|it| Some(&it.version_id) == read.version_id.as_ref());
        let labels = labels.map(|version| version.version_stages.as_slice()).unwrap_or_default();
        let label = ["AWSPREVIOUS", "AWSPENDING"].into_iter().find(|label| {
            read.version_stage.as_deref() == Some(*label) || labels.iter().any(|stage| stage == label)
        });
        let is_current = labels.iter().any(|stage| stage == "AWSCURRENT");
        let is_late = match (read.last_read, secret.last_rotated_date) {
            (Some(last), Some(rotated)) => last.as_second() > rotated.as_second() + HOUR,
            // Without a rotation there was no reason to read it.
            _ => true,
        };
        let Some(label) = label.filter(|_| is_late && !is_current) else { continue };
        let last = read.last_read.map(|last| format!(", last on {last}")).unwrap_or_default();
        let since = audit.snapshot.reads_since.map(|since| format!(" since {}", since.strftime("%F")));
        let seen = format!("read {label} {} times{}{last}", read.count, since.unwrap_or_default());
        findings.add(&read.principal, seen).advise(format!("make it read AWSCURRENT of {}", secret.name));
    }
}

/// The task definitions that inject a secret, or a field of it.
fn tasks<'a>(audit: &Audit<'a>, secret: &'a Secret) -> impl Iterator<Item = &'a str> {
    let names = move |from: &String| {
        *from == secret.name
            || from.strip_prefix(&secret.arn).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
            // A partial ARN, without the six characters.
            || secret.arn.rsplit_once('-').is_some_and(|(partial, _)| from == partial)
    };
    let tasks = audit.snapshot.task_definitions.iter().filter(move |task| task.secrets.iter().any(names));
    tasks.map(|task| task.task_definition_arn.as_str())
}

/// Everything that is configured with a secret: task definitions and database proxies.
fn users<'a>(audit: &Audit<'a>, secret: &'a Secret) -> Vec<&'a str> {
    let proxies = audit.snapshot.proxies.iter().filter(|proxy| proxy.secret_arns.contains(&secret.arn));
    tasks(audit, secret).chain(proxies.map(|proxy| proxy.name.as_str())).collect()
}

/// Without a version labeled AWSCURRENT, a read that names no version fails.
fn no_current(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_current = |version: &Version| version.version_stages.iter().any(|stage| stage == "AWSCURRENT");
    // A secret that was not described has no versions here.
    let is_young = secret.created_date.is_none_or(|created| audit.days_since(created) < 1);
    if secret.deleted_date.is_some() || is_young || secret.versions.iter().any(is_current) {
        return;
    }
    let Some(newest) = secret.versions.iter().max_by_key(|version| version.created_date) else {
        findings.add(&secret.arn, "it has no version").advise(
            "store its value (aws secretsmanager put-secret-value), or delete it if nothing will ever fill it",
        );
        return;
    };
    let words = ["aws", "secretsmanager", "update-secret-version-stage", "--secret-id", &secret.arn];
    let label = ["--version-stage", "AWSCURRENT", "--move-to-version-id", &newest.version_id];
    findings.add(&secret.arn, "no version has the label AWSCURRENT").advise(format!(
        "find out which version works (`{}`) and label it; if it is the newest: {}",
        command(&["secretcache", "status", id_of(secret)]),
        command(&[&words[..], &label].concat())
    ));
}

fn injected(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    // A value that never changes can be injected.
    if !audit.rotates(secret) && secret.owning_service.is_none() {
        return;
    }
    for task in tasks(audit, secret) {
        findings
            .add(task, "injects the secret with secrets:")
            .advise("read it in the program, or restart on a new version");
    }
    for function in
        audit.snapshot.functions.iter().filter(|function| function.injected_secrets.contains(&secret.arn))
    {
        findings.add(&function.function_arn, "a variable has the secret's value, or a field of it").advise(
            "read it in the function: anyone who can see its configuration can also read the variable",
        );
    }
}

fn untagged(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if secret.tags.keys().all(|name| name.starts_with("aws:")) {
        let words = ["aws", "secretsmanager", "tag-resource", "--secret-id", &secret.arn, "--tags"];
        findings
            .add(&secret.arn, "no tags")
            .run(format!("{} Key=owner,Value=nobody", command(&words)))
            .advise("replace nobody with the team that owns the secret");
    }
}

fn deleted_in_use(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(deleted) = secret.deleted_date else { return };
    let users = users(audit, secret);
    if !users.is_empty() {
        let run = command(&["aws", "secretsmanager", "restore-secret", "--secret-id", &secret.arn]);
        findings.add(&secret.arn, format!("deleted on {deleted}, named by {}", users.join(", "))).run(run);
    }
}

fn deletion_window(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const SHORTEST: i64 = 7;
    // DeletedDate is the day on which the secret will be gone.
    let Some(gone) = secret.deleted_date else { return };
    let left = -audit.days_since(gone);
    if (0..=SHORTEST).contains(&left) {
        let restore = command(&["aws", "secretsmanager", "restore-secret", "--secret-id", &secret.arn]);
        findings
            .add(&secret.arn, format!("gone in {}", days(left)))
            .run(format!("{restore} && {}", delete(secret)));
    }
}

fn orphan(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const TAGS: [&str; 3] =
        ["aws:rds:primaryDBInstanceArn", "aws:rds:primaryDBClusterArn", "rds-database-arn"];
    let of = |(name, value): (&String, &String)| {
        TAGS.iter().any(|tag| tag.eq_ignore_ascii_case(name)).then(|| value.clone())
    };
    let Some(database) = secret.tags.iter().find_map(of) else { return };
    if !audit.snapshot.databases.iter().any(|it| it.arn == database) {
        delete_by(audit, findings.add(&secret.arn, format!("{database} does not exist")), secret);
    }
}

fn replica(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let allowed = &audit.snapshot.allowed_regions;
    let command_for = |kind: &str, option: &str, region: &str| {
        command(&["aws", "secretsmanager", kind, "--secret-id", &secret.arn, option, region])
    };
    for replica in &secret.replication_status {
        let resource = format!("{} in {}", secret.name, replica.region);
        if replica.status == "Failed" {
            let key = replica.kms_key_id.iter().filter(|id| !id.is_empty());
            let region =
                key.fold(format!("Region={}", replica.region), |all, id| format!("{all},KmsKeyId={id}"));
            let run = command_for("replicate-secret-to-regions", "--add-replica-regions", &region);
            findings.add(&resource, "replication failed").run(run).advise(
                "if another secret has this name in that Region, check what it is for before you overwrite it",
            );
        }
        if !allowed.is_empty() && !allowed.contains(&replica.region) {
            let run =
                command_for("remove-regions-from-replication", "--remove-replica-regions", &replica.region);
            findings
                .add(&resource, format!("its Region is not allowed; allowed are {}", allowed.join(", ")))
                .run(run);
        }
    }
}

fn database_without(audit: &Audit<'_>, findings: &mut Findings<'_>) {
    let databases = audit.snapshot.databases.iter().filter(|it| !it.is_cluster_member);
    for database in databases.filter(|it| it.master_user_secret_arn.is_none()) {
        let name = database.arn.rsplit(':').next().unwrap_or_default();
        let kind = if database.arn.contains(":cluster:") { "cluster" } else { "instance" };
        let words = ["aws", "rds", &format!("modify-db-{kind}"), &format!("--db-{kind}-identifier"), name];
        let run = format!("{} --manage-master-user-password --apply-immediately", command(&words));
        findings.add(&database.arn, "no MasterUserSecret").run(run);
    }
}
