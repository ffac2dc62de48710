//! Who uses a secret, and what becomes of it.

use super::{Check, Find};
use crate::audit::{Audit, Findings, Severity};
use crate::fix::command;
use crate::snapshot::Secret;

const LIST: &[&str] = &["secretsmanager:ListSecrets"];
const MANY_DAYS: i64 = 90;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "usage.unused",
        severity: Severity::Low,
        title: "Nobody read the secret for 90 days",
        why: "A credential that nobody needs is only a risk.",
        fix: "Delete it with a recovery window; restoring it is one command.",
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
        title: "Nobody ever read the secret",
        why: "Either it is not needed, or its readers have the credential from somewhere else.",
        fix: "Find out where the credential is used from; delete the secret if it is not.",
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
        title: "Nobody read the secret since it last rotated",
        why: "Whoever uses the credential still has the old one, and is refused when that ends.",
        fix: "Restart its consumers, or let them read through a cache that refreshes.",
        needs: LIST,
        counterparts: &[],
        find: Find::Secret(not_since),
    },
    Check {
        id: "usage.injected",
        severity: Severity::Medium,
        title: "A consumer has the value in its environment and cannot see a rotation",
        why: "ECS resolves secrets: when a task starts, and a Lambda variable is set when the function is deployed. After a \
              rotation they go on with the old value until they are restarted or deployed again.",
        fix: "Read the secret in the program, or start it with something that restarts it when the secret changes.",
        needs: &["ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition", "lambda:ListFunctions"],
        counterparts: &[],
        find: Find::Secret(injected),
    },
    Check {
        id: "usage.stage-readers",
        severity: Severity::Medium,
        title: "Somebody reads AWSPREVIOUS or AWSPENDING long after the rotation",
        why: "The previous credential stops working at the next rotation at the latest, and a pending one may not work yet. \
              A program that reads either outside of a rotation is pinned to it by mistake, or somebody collects old values.",
        fix: "Have it read AWSCURRENT. Reads in the hour after a rotation are left out: connecting through a rotation takes them.",
        needs: &["cloudtrail:LookupEvents"],
        counterparts: &[],
        find: Find::Secret(stage_readers),
    },
    Check {
        id: "usage.untagged",
        severity: Severity::Info,
        title: "The secret has no tags",
        why: "Nobody can tell whose it is, and policies by tag cannot reach it.",
        fix: "Tag it with its owner and application.",
        needs: LIST,
        counterparts: &["Security Hub SecretsManager.5", "AWS Config tagged-secretsmanager-secret"],
        find: Find::Secret(untagged),
    },
    Check {
        id: "usage.deleted-in-use",
        severity: Severity::Critical,
        title: "A secret that waits to be deleted is still named by a consumer",
        why: "It cannot be read any more: what starts next fails.",
        fix: "Restore the secret, move its consumers, then delete it.",
        needs: &["secretsmanager:ListSecrets", "ecs:ListTaskDefinitions", "ecs:DescribeTaskDefinition"],
        counterparts: &["stave CTL.SECRETS.GHOST.DELETION.REFERENCED"],
        find: Find::Secret(deleted_in_use),
    },
    Check {
        id: "usage.deletion-window",
        severity: Severity::Low,
        title: "The secret is deleted after the shortest recovery window",
        why: "Seven days may pass before somebody misses what runs once a month.",
        fix: "Restore it and delete it again with 30 days.",
        needs: LIST,
        counterparts: &["stave CTL.SECRETS.LIFECYCLE.DELETION.MINWAIT"],
        find: Find::Secret(deletion_window),
    },
    Check {
        id: "usage.orphan",
        severity: Severity::Low,
        title: "The database that the secret is for does not exist",
        why: "What is left of a database that was deleted; a new one of that name would take the credential.",
        fix: "Delete the secret.",
        needs: &["secretsmanager:DescribeSecret", "rds:DescribeDBInstances", "rds:DescribeDBClusters"],
        counterparts: &["stave CTL.SECRETS.LIFECYCLE.ORPHAN.DATABASE"],
        find: Find::Secret(orphan),
    },
    Check {
        id: "usage.replica",
        severity: Severity::Medium,
        title: "A replica is not in step, or in a Region that is not allowed",
        why: "A replica that fails to follow serves the old value. One in the wrong Region breaks a promise about where data is.",
        fix: "Replicate again, or remove the replica.",
        needs: &["secretsmanager:DescribeSecret"],
        counterparts: &["stave CTL.SECRETS.REPLICA.NONCOMPLIANT.REGION", "stave CTL.SECRETS.REPLICA.ORPHAN"],
        find: Find::Secret(replica),
    },
    Check {
        id: "usage.database-without-secret",
        severity: Severity::Low,
        title: "A database has its master password outside of Secrets Manager",
        why: "RDS can keep and rotate the master password as a secret; any other password of a master user is one that nobody \
              rotates.",
        fix: "Let RDS manage the master password.",
        needs: &["rds:DescribeDBInstances", "rds:DescribeDBClusters"],
        counterparts: &["stave CTL.SECRETS.INTEGRATION.RDS.NOSECRET"],
        find: Find::Account(database_without),
    },
];

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
        findings
            .add(&secret.arn, format!("last read {} days ago", audit.days_since(last)))
            .run(delete(secret));
    }
}

fn never_read(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let is_old = secret.created_date.is_some_and(|created| audit.days_since(created) > 1);
    if secret.last_accessed_date.is_none() && is_old && secret.deleted_date.is_none() {
        findings.add(&secret.arn, "no LastAccessedDate").run(delete(secret));
    }
}

fn not_since(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let (Some(read), Some(rotated)) = (secret.last_accessed_date, secret.last_rotated_date) else { return };
    // Reads are told by day, and the rotation itself reads: only whole days later say something.
    if audit.days_since(rotated) > 1 && read.as_second() + 86400 <= rotated.as_second() {
        let seen = format!("last read on {}, rotated on {rotated}", read.strftime("%F"));
        findings.add(&secret.arn, seen).advise("restart its consumers, or have them read through a cache");
    }
}

fn stage_readers(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const HOUR: i64 = 3600;
    let rotation = audit.account.rotation_function(secret).map(|function| function.role.as_str());
    let reads = audit.snapshot.version_reads.iter().filter(|read| read.secret_arn == secret.arn);
    for read in reads.filter(|read| Some(read.principal.as_str()) != rotation) {
        // A version id means the label that the version has now.
        let labels = secret.versions.iter().find(|it| Some(&it.version_id) == read.version_id.as_ref());
        let labels = labels.map(|version| version.version_stages.as_slice()).unwrap_or_default();
        let label = ["AWSPREVIOUS", "AWSPENDING"].into_iter().find(|label| {
            read.version_stage.as_deref() == Some(*label) || labels.iter().any(|stage| stage == label)
        });
        let is_current = labels.iter().any(|stage| stage == "AWSCURRENT");
        let is_late = match (read.last_read, secret.last_rotated_date) {
            (Some(last), Some(rotated)) => last.as_second() > rotated.as_second() + HOUR,
            // Without a rotation, nobody had a reason to.
            _ => true,
        };
        let Some(label) = label.filter(|_| is_late && !is_current) else { continue };
        let last = read.last_read.map(|last| format!(", last on {last}")).unwrap_or_default();
        let since = audit.snapshot.reads_since.map(|since| format!(" since {}", since.strftime("%F")));
        let seen = format!("read {label} {} times{}{last}", read.count, since.unwrap_or_default());
        findings.add(&read.principal, seen).advise(format!("have it read AWSCURRENT of {}", secret.name));
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

fn injected(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    // What never changes can be injected.
    if !secret.rotation_enabled && secret.owning_service.is_none() {
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
        findings.add(&function.function_arn, "a variable holds the secret's value, or a field of it").advise(
            "read it in the function; the variable is also readable to whoever may see the configuration",
        );
    }
}

fn untagged(_: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    if secret.tags.keys().all(|name| name.starts_with("aws:")) {
        let words = ["aws", "secretsmanager", "tag-resource", "--secret-id", &secret.arn, "--tags"];
        findings.add(&secret.arn, "no tags").run(format!("{} Key=owner,Value=nobody", command(&words)));
    }
}

fn deleted_in_use(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    let Some(deleted) = secret.deleted_date else { return };
    let rotators = audit.snapshot.proxies.iter().filter(|proxy| proxy.secret_arns.contains(&secret.arn));
    let users: Vec<_> = tasks(audit, secret).chain(rotators.map(|proxy| proxy.name.as_str())).collect();
    if !users.is_empty() {
        let run = command(&["aws", "secretsmanager", "restore-secret", "--secret-id", &secret.arn]);
        findings.add(&secret.arn, format!("deleted on {deleted}, named by {}", users.join(", "))).run(run);
    }
}

fn deletion_window(audit: &Audit<'_>, secret: &Secret, findings: &mut Findings<'_>) {
    const SHORTEST: i64 = 7;
    // DeletedDate is the day on which it will be gone.
    let Some(gone) = secret.deleted_date else { return };
    let left = -audit.days_since(gone);
    if (0..=SHORTEST).contains(&left) {
        let restore = command(&["aws", "secretsmanager", "restore-secret", "--secret-id", &secret.arn]);
        findings
            .add(&secret.arn, format!("gone in {left} days"))
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
        findings.add(&secret.arn, format!("{database} does not exist")).run(delete(secret));
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
                "where another secret has the name in that Region, look what it is for before it is overwritten",
            );
        }
        if !allowed.is_empty() && !allowed.contains(&replica.region) {
            let run =
                command_for("remove-regions-from-replication", "--remove-replica-regions", &replica.region);
            findings.add(&resource, format!("only {} are allowed", allowed.join(", "))).run(run);
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
