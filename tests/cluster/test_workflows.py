"""Both clients against one loopback cluster: the same contract for both."""

from __future__ import annotations

import gzip
import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from betaearth.cluster import kube
from betaearth.cluster.open import open_workflows
from betaearth.cluster.options import ClusterOptions
from betaearth.cluster.submission import workflow_of
from betaearth.cluster.workflows import LogLine, Submission, Workflows
from betaearth.errors import ConfigError, DataError, TransientError
from tests.cluster.clients import SUBMISSION, cluster, kubeconfig, through_argo, through_kube
from tests.cluster.server import Cluster

__all__ = ["cluster"]

RUN = {"betaearth.github.io/run": "r1"}


@pytest.fixture(params=["kube", "argo"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def workflows(cluster: Cluster, kind: str) -> Workflows:
    return through_kube(timeout_s=2) if kind == "kube" else through_argo(cluster, timeout_s=2)


def add(cluster: Cluster, name: str, **status: object) -> str:
    labels = {**RUN, "betaearth.github.io/part": "shard"}
    body = {**workflow_of(SUBMISSION), "metadata": {"name": name, "labels": labels}}
    cluster.world.create(body)
    if status:
        cluster.world.report(name, **status)
    return name


class TestSubmit:
    def test_the_name_that_the_cluster_gave_comes_back(self, cluster: Cluster, workflows: Workflows) -> None:
        name = workflows.submit(SUBMISSION)
        assert name.startswith("betaearth-region-")
        assert list(cluster.world.workflows) == [name]

    def test_both_clients_make_the_same_workflow(self, cluster: Cluster) -> None:
        made = [
            cluster.world.workflows[client.submit(SUBMISSION)] for client in (through_kube(), through_argo(cluster))
        ]
        kube, argo = ({**workflow["metadata"], "spec": workflow["spec"]} for workflow in made)
        for own in ("name", "resourceVersion", "creationTimestamp"):
            assert kube.pop(own) != argo.pop(own)
        assert kube == argo
        assert kube["labels"] == {
            "betaearth.github.io/part": "region",
            "app.kubernetes.io/name": "betaearth",
            "workflows.argoproj.io/workflow-template": "betaearth-region",
        }
        assert kube["spec"] == {
            "workflowTemplateRef": {"name": "betaearth-region"},
            "arguments": {"parameters": [{"name": k, "value": v} for k, v in SUBMISSION.parameters.items()]},
        }

    def test_values_with_equals_signs_commas_and_json_arrive_whole(
        self, cluster: Cluster, workflows: Workflows
    ) -> None:
        parameters = {"geojson": '{"type":"Polygon","x":[1,2]}', "store": "s3://bucket/a=b,c"}
        name = workflows.submit(Submission("betaearth-region", parameters, "r-"))
        given = cluster.world.workflows[name]["spec"]["arguments"]["parameters"]
        assert {entry["name"]: entry["value"] for entry in given} == parameters

    def test_a_missing_template_says_what_to_install(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.world.templates.clear()
        with pytest.raises(ConfigError, match=r"betaearth-region.*helm install betaearth.*doctor"):
            workflows.submit(SUBMISSION)
        assert not cluster.world.workflows

    def test_a_submission_is_never_sent_twice(self, cluster: Cluster, workflows: Workflows, kind: str) -> None:
        cluster.fail("workflows?fieldValidation" if kind == "kube" else "/submit", 503, times=9, body=b"{}")
        with pytest.raises(TransientError):
            workflows.submit(SUBMISSION)
        assert cluster.faults[0].times == 8


class TestRead:
    def test_a_workflow_comes_as_it_is(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1-00000", phase="Running", progress="1/3", nodes={"a": {"id": "a", "someNewField": {"x": 1}}})
        assert workflows.get("r1-00000") == cluster.world.workflows["r1-00000"]

    def test_there_is_no_such_workflow(self, workflows: Workflows) -> None:
        with pytest.raises(DataError, match=r"Workflow nowhere in namespace earth.*not found"):
            workflows.get("nowhere")

    def test_a_list_has_all_pages_and_only_what_has_the_labels(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.world.page = 3
        names = [add(cluster, f"r1-{shard:05d}") for shard in range(8)]
        workflows.submit(SUBMISSION)
        assert [found["metadata"]["name"] for found in workflows.list(RUN)] == names
        assert sum("ontinue" in "".join(asked.query) for asked in cluster.asked) == 2

    def test_a_page_of_one_name_alone(self, cluster: Cluster) -> None:
        for shard in range(2):
            add(cluster, f"r1-{shard:05d}")
        with closing(through_argo(cluster).watch(RUN, name="r1-00001")) as seen:  # type: ignore[type-var]
            assert next(seen)["metadata"]["name"] == "r1-00001"

    def test_packed_nodes_come_in_clear(self, cluster: Cluster, workflows: Workflows) -> None:
        nodes = {"r1-00000": {"id": "r1-00000", "type": "DAG"}}
        add(cluster, "r1-00000", phase="Running", nodes=nodes)
        cluster.world.packed = True
        for found in (workflows.get("r1-00000"), *workflows.list(RUN)):
            assert found["status"] == {"phase": "Running", "nodes": nodes}

    def test_an_empty_list_is_one(self, workflows: Workflows) -> None:
        assert list(workflows.list({"betaearth.github.io/run": "none"})) == []

    def test_a_list_asks_for_a_page_when_it_is_wanted(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.world.page = 1
        for shard in range(3):
            add(cluster, f"r1-{shard:05d}")
        with closing(workflows.list(RUN)) as found:  # type: ignore[type-var]
            next(found)
        assert len(cluster.asked) == 1


class TestShutdown:
    @pytest.mark.parametrize("how", ["Stop", "Terminate"])
    def test_it_is_told_to_end(self, cluster: Cluster, workflows: Workflows, how: str) -> None:
        add(cluster, "r1")
        workflows.shutdown("r1", how)  # type: ignore[arg-type]
        assert cluster.world.workflows["r1"]["spec"]["shutdown"] == how

    def test_what_is_not_there_cannot_be_ended(self, workflows: Workflows) -> None:
        with pytest.raises(DataError, match="r9"):
            workflows.shutdown("r9", "Stop")


class TestLogs:
    def test_of_one_pod(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        cluster.world.run_pod("r1", "r1-plan-1", ["begun", "größer", "", "done"])
        cluster.world.run_pod("r1", "r1-index-2", ["other"])
        found = list(workflows.logs("r1", pod="r1-plan-1", tail=None, follow=False))
        assert found == [LogLine("r1-plan-1", text) for text in ("begun", "größer", "", "done")]

    def test_the_last_lines(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        cluster.world.run_pod("r1", "r1-plan-1", [str(number) for number in range(9)])
        found = workflows.logs("r1", pod="r1-plan-1", tail=2, follow=False)
        assert [line.text for line in found] == ["7", "8"]

    def test_of_all_pods(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        add(cluster, "r2")
        cluster.world.run_pod("r1", "r1-plan-1", ["a"], phase="Succeeded")
        cluster.world.run_pod("r1", "r1-index-2", ["b"])
        cluster.world.run_pod("r2", "r2-plan-1", ["c"])
        found = list(workflows.logs("r1", pod=None, tail=None, follow=False))
        assert found == [LogLine("r1-plan-1", "a"), LogLine("r1-index-2", "b")]

    def test_a_pod_that_is_gone_is_said_to_be(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        with pytest.raises(DataError, match=r"r1-plan-7.*gone.*archive"):
            list(workflows.logs("r1", pod="r1-plan-7", tail=None, follow=False))

    def test_a_stream_that_breaks_is_told(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        cluster.world.run_pod("r1", "r1-plan-1", ["a", "b", "c"])
        cluster.fail("/log", cut=2)
        lines = workflows.logs("r1", pod="r1-plan-1", tail=None, follow=True)
        assert [line.text for line in islice(lines, 2)] == ["a", "b"]
        with pytest.raises(TransientError, match="broke"):
            next(lines)


class TestWatch:
    def watch(self, workflows: Workflows, name: str | None = None) -> Iterator[tuple[str, str]]:
        labels = {} if name else RUN
        for workflow in workflows.watch(labels, name=name):
            yield workflow["metadata"]["name"], workflow.get("status", {}).get("phase", "")

    def test_what_is_there_then_what_changes(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        seen = self.watch(workflows)
        assert next(seen) == ("r1", "")
        cluster.world.report("r1", phase="Running")
        workflows.submit(SUBMISSION)
        cluster.world.report("r1", phase="Succeeded")
        assert list(islice(seen, 2)) == [("r1", "Running"), ("r1", "Succeeded")]
        seen.close()  # type: ignore[attr-defined]

    def test_of_one_alone(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        add(cluster, "r2")
        with closing(self.watch(workflows, "r2")) as seen:  # type: ignore[type-var]
            assert next(seen) == ("r2", "")
            cluster.world.report("r1", phase="Running")
            cluster.world.report("r2", phase="Failed")
            assert next(seen) == ("r2", "Failed")

    def test_a_watch_that_breaks_misses_nothing(self, cluster: Cluster, workflows: Workflows, kind: str) -> None:
        add(cluster, "r1")
        # A bookmark comes before the first change through the Kubernetes API.
        cluster.fail("watch=" if kind == "kube" else "workflow-events", cut=2 if kind == "kube" else 1, times=3)
        with closing(self.watch(workflows)) as seen:  # type: ignore[type-var]
            assert next(seen) == ("r1", "")
            for phase in ("Pending", "Running", "Succeeded"):
                cluster.world.report("r1", phase=phase)
            found = []
            for _, phase in seen:
                found.append(phase)
                if phase == "Succeeded":
                    break
        assert found[0] == "Pending"

    def test_a_version_that_is_forgotten_is_listed_again(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        with closing(self.watch(workflows)) as seen:  # type: ignore[type-var]
            assert next(seen) == ("r1", "")
            cluster.world.report("r1", phase="Running")
            cluster.world.oldest = cluster.world.version
            assert next(seen) == ("r1", "Running")

    def test_a_watch_that_breaks_for_ever_is_given_up(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        with closing(self.watch(workflows)) as seen:  # type: ignore[type-var]
            assert next(seen) == ("r1", "")
            cluster.fail("", 503, body=b"{}")
            with pytest.raises(TransientError, match="503"):
                next(seen)

    def test_a_watch_that_ends_in_order_goes_on(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        cluster.held_open = 0.01
        asked = len(cluster.asked)

        def late(_: float) -> None:
            if len(cluster.asked) - asked > 9:
                cluster.world.report("r1", phase="Succeeded")

        workflows.pause = late  # type: ignore[attr-defined]  # both clients have it
        with closing(self.watch(workflows)) as seen:  # type: ignore[type-var]
            assert next(seen) == ("r1", "")
            asked = len(cluster.asked)
            assert next(seen) == ("r1", "Succeeded")
        assert not [one for one in cluster.asked[asked:] if "imit" in "".join(one.query)]  # nothing is listed again

    def test_a_deleted_one_says_so(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        with closing(workflows.watch(RUN)) as seen:  # type: ignore[type-var]
            assert "deletionTimestamp" not in next(seen)["metadata"]
            cluster.world.remove("r1")
            assert "deletionTimestamp" in next(seen)["metadata"]


STATUSES = [
    (400, ConfigError, "wrong one: why"),
    (401, ConfigError, "does not know who is asking"),
    (403, ConfigError, "why.*betaearth-operator"),
    (404, DataError, "no such thing: why"),
    (408, TransientError, "why"),
    (409, TransientError, "why.*ask again"),
    (410, TransientError, "expired"),
    (413, DataError, "too large"),
    (422, ConfigError, "fields wrong: why"),
    (429, TransientError, "too much"),
    (500, TransientError, "500.*why"),
    (502, TransientError, "502.*why"),
    (503, TransientError, "503.*why"),
    (504, TransientError, "504.*why"),
    (302, ConfigError, "login page"),
]


class TestRefusals:
    @pytest.mark.parametrize(("status", "error", "said"), STATUSES)
    def test_a_status_has_a_meaning(
        self, cluster: Cluster, workflows: Workflows, status: int, error: type[Exception], said: str
    ) -> None:
        cluster.fail("", status, body=b'{"message": "why"}', headers={"Location": "/login"})
        for call in (
            lambda: workflows.get("r1"),
            lambda: workflows.submit(SUBMISSION),
            lambda: next(iter(workflows.list(RUN))),
        ):
            with pytest.raises(error, match=f"namespace earth of .*{said}"):
                call()

    def test_a_stranger_at_the_address_is_no_cluster(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.fail("", 404, body=b'{"error": "there is no such object"}')
        with pytest.raises(ConfigError, match="check the address"):
            workflows.get("r1")

    def test_an_unknown_status_passes_untouched(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.fail("", 418, body=b'{"message": "a teapot"}')
        with pytest.raises(Exception, match="teapot") as caught:
            workflows.get("r1")
        assert type(caught.value).__name__ == "ApiException"

    def test_a_wrong_token_is_refused_and_never_said(self, cluster: Cluster, kind: str) -> None:
        cluster.token = "another"
        token = "secret-token-of-the-cluster"
        client = through_kube() if kind == "kube" else through_argo(cluster, argo_token=token)
        with pytest.raises(ConfigError, match="401") as caught:
            list(client.list(RUN))
        assert token not in str(caught.value)

    def test_a_server_that_repeats_the_token_is_cut_short(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.fail("", 403, body=b'{"message": "no: Bearer abc.def-ghi at https://me:pw@x.org/y?sig=1"}')
        with pytest.raises(ConfigError) as caught:
            workflows.get("r1")
        assert not {"abc.def", "pw@", "sig=1"} & {
            word for word in ("abc.def", "pw@", "sig=1") if word in str(caught.value)
        }

    def test_argo_is_not_installed(self, cluster: Cluster, workflows: Workflows) -> None:
        cluster.fail("", 404, body=b"404 page not found\n")
        with pytest.raises(ConfigError, match="install Argo Workflows"):
            list(workflows.list(RUN))

    def test_strict_field_errors_are_shown(self, cluster: Cluster, workflows: Workflows) -> None:
        body = (
            b'{"message": "Workflow is invalid", "details": {"causes": [{"field": "spec.foo", "message": "unknown"}]}}'
        )
        cluster.fail("", 422, body=body)
        with pytest.raises(ConfigError, match=r"Workflow is invalid; spec.foo: unknown"):
            workflows.get("r1")

    def test_a_blip_is_outlived(self, cluster: Cluster, workflows: Workflows) -> None:
        add(cluster, "r1")
        cluster.fail("", 503, times=2, body=b"{}")
        assert workflows.get("r1")["metadata"]["name"] == "r1"

    def test_no_answer_in_time(self, cluster: Cluster, kind: str) -> None:
        client = through_kube(timeout_s=0.2) if kind == "kube" else through_argo(cluster, timeout_s=0.2)
        cluster.fail("", hang=True)
        with pytest.raises(TransientError, match="no answer in time"):
            client.get("r1")

    def test_no_server(self, cluster: Cluster, kind: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            cluster.url = f"http://127.0.0.1:{free.getsockname()[1]}"
            with pytest.raises(TransientError, match="no connection"):
                client_at(cluster, kind).get("r1")

    def test_no_tls(self, cluster: Cluster, kind: str) -> None:
        cluster.url = cluster.url.replace("http:", "https:")
        with pytest.raises(ConfigError, match="certificate"):
            client_at(cluster, kind).get("r1")

    def test_a_page_instead_of_an_answer(self, cluster: Cluster) -> None:
        cluster.fail("", 200, body=b"<html>Argo</html>")
        with pytest.raises(ConfigError, match="no argo-server's answer"):
            through_argo(cluster).get("r1")


def client_at(cluster: Cluster, kind: str) -> Workflows:
    if kind == "argo":
        return through_argo(cluster, timeout_s=2)
    import os

    Path(os.environ["KUBECONFIG"]).write_text(kubeconfig(cluster))
    return through_kube(timeout_s=2)


class TestStrictServer:
    """The loopback cluster itself refuses what the real ones do."""

    @pytest.mark.usefixtures("cluster")
    def test_an_unknown_field_of_a_workflow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def with_typo(submission: Submission) -> dict[str, object]:
            document = workflow_of(submission)
            document["spec"]["workflowTemplateReff"] = {}
            return document

        monkeypatch.setattr("betaearth.cluster.kube.workflow_of", with_typo)
        with pytest.raises(ConfigError, match=r"unknown field at .spec.*workflowTemplateReff"):
            through_kube().submit(SUBMISSION)

    @pytest.mark.parametrize(
        "body",
        [
            {"resourceKind": "WorkflowTemplate", "resourceName": "betaearth-region", "submitOptionz": {}},
            {"resourceKind": "WorkflowTemplate", "resourceName": "betaearth-region", "submitOptions": {"label": "a=b"}},
            {"resourceKind": "WorkflowTemplate", "resourceName": "betaearth-region", "submitOptions": {"labels": {}}},
            {"resourceKind": "Workflow", "resourceName": "betaearth-region"},
        ],
    )
    def test_a_wrong_body_for_an_argo_server(self, cluster: Cluster, body: dict[str, object]) -> None:
        import urllib3

        headers = {"Authorization": f"Bearer {cluster.token}"}
        answer = urllib3.request("POST", f"{cluster.url}/api/v1/workflows/earth/submit", json=body, headers=headers)
        assert answer.status == 400
        assert not cluster.world.workflows

    def test_an_unknown_query_parameter(self, cluster: Cluster) -> None:
        import urllib3

        headers = {"Authorization": f"Bearer {cluster.token}"}
        for path in ("/apis/argoproj.io/v1alpha1/namespaces/earth/workflows", "/api/v1/workflows/earth"):
            assert urllib3.request("GET", cluster.url + path, headers=headers).status == 200
            assert urllib3.request("GET", f"{cluster.url}{path}?labels=a", headers=headers).status == 400
            assert urllib3.request("GET", cluster.url + path).status == 401


class TestChoice:
    def test_argo_server_from_the_environment(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ARGO_SERVER", cluster.url.removeprefix("http://"))
        monkeypatch.setenv("ARGO_SECURE", "false")
        monkeypatch.setenv("ARGO_TOKEN", f"Bearer {cluster.token}")
        client = open_workflows(ClusterOptions())
        assert (client.host, client.namespace) == (cluster.url, "earth")
        assert list(client.list(RUN)) == []
        assert cluster.asked[-1].path == "/api/v1/workflows/earth"

    def test_an_empty_argo_server_is_the_kubernetes_api(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ARGO_SERVER", "elsewhere:1")
        assert list(open_workflows(ClusterOptions(argo_server="")).list(RUN)) == []
        assert cluster.asked[-1].path.startswith("/apis/argoproj.io")

    @pytest.mark.parametrize(
        ("options", "environ", "namespace"),
        [
            ({}, {}, "earth"),
            ({"context": "elsewhere"}, {}, "mars"),
            ({"context": "elsewhere"}, {"ARGO_NAMESPACE": "venus"}, "venus"),
            ({"namespace": "io"}, {"ARGO_NAMESPACE": "venus"}, "io"),
            ({"argo_server": "https://x"}, {}, "earth"),
        ],
    )
    @pytest.mark.usefixtures("cluster")
    def test_namespace(
        self,
        monkeypatch: pytest.MonkeyPatch,
        options: dict[str, str],
        environ: dict[str, str],
        namespace: str,
    ) -> None:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        assert open_workflows(ClusterOptions.model_validate(options)).namespace == namespace

    @pytest.mark.usefixtures("cluster")
    def test_no_such_context(self) -> None:
        with pytest.raises(ConfigError, match=r"no context moon; there are: here, elsewhere"):
            open_workflows(ClusterOptions(context="moon"))

    @pytest.mark.usefixtures("cluster")
    def test_no_kubeconfig(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        with pytest.raises(ConfigError, match=r"no kubeconfig at .*none.*ARGO_SERVER"):
            open_workflows(ClusterOptions())

    @pytest.mark.parametrize("text", ["{", "[]", "apiVersion: v1", "kind: Config\ncontexts: []\n"])
    @pytest.mark.usefixtures("cluster")
    def test_a_kubeconfig_that_is_none(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "kubeconfig").write_text(text)
        with pytest.raises(ConfigError, match="kubeconfig"):
            open_workflows(ClusterOptions())

    def test_a_login_that_fails_is_quoted(self, cluster: Cluster, tmp_path: Path) -> None:
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
        (tmp_path / "kubeconfig").write_text(kubeconfig(cluster, exec=plugin))
        with pytest.raises(ConfigError, match=r"process returned 1|401"):
            list(open_workflows(ClusterOptions()).list(RUN))

    def test_inside_a_pod(self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pod = tmp_path / "pod"
        pod.mkdir()
        (pod / "token").write_text(cluster.token)
        (pod / "namespace").write_text("own\n")
        (pod / "ca.crt").write_text("x")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        monkeypatch.setattr("betaearth.cluster.kubeconfig.IN_POD", pod)
        monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(pod / "token"))
        monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(pod / "ca.crt"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
        client = open_workflows(ClusterOptions())
        assert (client.host, client.namespace) == ("https://127.0.0.1:1", "own")

    def test_a_login_in_the_address_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="ARGO_TOKEN") as caught:
            open_workflows(ClusterOptions(argo_server="https://me:hidden@argo.org"))
        assert "hidden" not in str(caught.value)

    @pytest.mark.usefixtures("cluster")
    def test_nothing_global_is_set(self) -> None:
        from kubernetes.client import Configuration

        assert list(through_kube().list(RUN)) == []
        assert "BearerToken" not in Configuration.get_default_copy().api_key


class TestKube:
    def test_pods_of_all_pages(self, cluster: Cluster) -> None:
        cluster.world.page = 2
        for number in range(5):
            cluster.world.run_pod("r1", f"p{number}", [], labels=RUN)
        assert [pod["metadata"]["name"] for pod in through_kube().pods(RUN)] == [f"p{number}" for number in range(5)]

    def test_a_page_of_pods_is_asked_for_when_it_is_wanted(self, cluster: Cluster) -> None:
        cluster.world.page = 1
        for number in range(3):
            cluster.world.run_pod("r1", f"p{number}", [], labels=RUN)
        with closing(through_kube().pods(RUN)) as found:  # type: ignore[type-var]
            next(found)
        assert len(cluster.asked) == 1

    def test_logs_of_all_pods_come_the_oldest_first(self, cluster: Cluster) -> None:
        add(cluster, "r1")
        for number in range(3):
            cluster.world.run_pod("r1", f"p{number}", [f"p{number}"])
            cluster.world.pods[f"p{number}"]["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{9 - number}Z"
        found = through_kube().logs("r1", pod=None, tail=None, follow=False)
        assert [line.text for line in found] == ["p2", "p1", "p0"]

    def test_nodes_in_a_database_are_left_out(self, cluster: Cluster) -> None:
        add(cluster, "r1", phase="Running", nodes={"a": {}})
        cluster.world.offloaded = True
        assert through_kube().get("r1")["status"] == {"phase": "Running", "offloadNodeStatusVersion": "fnv:784127"}

    @pytest.mark.parametrize(
        "packed", [b"%%%", b64encode(b"no gzip"), b64encode(gzip.compress(b"{}" * 99, mtime=0)[:10] + b"?" * 9)]
    )
    def test_damaged_nodes(self, cluster: Cluster, packed: bytes) -> None:
        add(cluster, "r1", compressedNodes=packed.decode())
        with pytest.raises(DataError, match=r"r1.*compressedNodes"):
            through_kube().get("r1")

    def test_nodes_that_unpack_to_more_than_any_workflow_has(
        self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add(cluster, "r1", compressedNodes=b64encode(gzip.compress(b"{" + b" " * 5000 + b"}")).decode())
        assert through_kube().get("r1")["status"] == {"nodes": {}}
        monkeypatch.setattr(kube, "LARGEST_NODES", 5001)
        with pytest.raises(DataError, match=r"r1.*more than 5001 bytes"):
            through_kube().get("r1")

    def test_a_login_in_the_kubeconfig_is_not_told(self, cluster: Cluster) -> None:
        path = Path(os.environ["KUBECONFIG"])
        path.write_text(path.read_text().replace("http://", "http://me:password@"))
        client = through_kube()
        assert client.host == cluster.url
        cluster.token = "another"
        with pytest.raises(ConfigError) as caught:
            client.get("r1")
        assert "password" not in str(caught.value)

    def test_a_pod_that_failed_before_it_began(self, cluster: Cluster) -> None:
        cluster.world.run_pod("r1", "rejected", [], phase="Failed")
        cluster.world.pods["rejected"]["status"] = {"phase": "Failed", "message": "Pod was rejected"}
        with pytest.raises(DataError, match=r"rejected.* never began: `betaearth status` tells why"):
            list(through_kube().logs("r1", pod="rejected", tail=None, follow=False))

    def test_a_pod_that_has_not_begun(self, cluster: Cluster) -> None:
        add(cluster, "r1")
        cluster.world.run_pod("r1", "r1-plan-1", [], phase="Pending")
        with pytest.raises(TransientError, match=r"has not begun.*status"):
            list(through_kube().logs("r1", pod="r1-plan-1", tail=None, follow=False))

    def test_pods_that_never_began_or_are_gone_hide_no_others(self, cluster: Cluster) -> None:
        add(cluster, "r1")
        for name in ("rejected", "gone", "whole"):
            cluster.world.run_pod("r1", name, [name], phase="Failed")
        cluster.world.pods["rejected"]["status"] = {"phase": "Failed", "message": "Pod was rejected"}
        cluster.fail("/pods/gone", 404, body=b'{"kind": "Status", "message": "gone"}')
        found = through_kube().logs("r1", pod=None, tail=None, follow=False)
        assert list(found) == [LogLine("whole", "whole")]

    def test_followed_pods_come_as_they_begin(self, cluster: Cluster) -> None:
        add(cluster, "r1", phase="Running")
        cluster.world.run_pod("r1", "r1-plan-1", ["a"])
        lines = through_kube().logs("r1", pod=None, tail=None, follow=True)
        assert next(lines) == LogLine("r1-plan-1", "a")
        cluster.world.run_pod("r1", "r1-index-2", ["b"])
        cluster.world.report("r1", phase="Succeeded")
        assert list(lines) == [LogLine("r1-index-2", "b")]


class TestArgoServer:
    def test_what_the_archive_has(self, cluster: Cluster) -> None:
        add(cluster, "r1")
        cluster.world.archive["r1", "r1-123"] = "a\nb\nc\n"
        lines = through_argo(cluster).logs("r1", pod="r1-tile-year-123", tail=2, follow=False)
        assert list(lines) == [LogLine("r1-tile-year-123", "b"), LogLine("r1-tile-year-123", "c")]

    def test_a_list_that_reaches_into_the_archive_ends(self, cluster: Cluster) -> None:
        cluster.world.page = 1
        names = [add(cluster, f"r1-{shard:05d}", phase="Succeeded") for shard in range(3)]
        cluster.world.archived.update(names)
        assert [found["metadata"]["name"] for found in islice(through_argo(cluster).list(RUN), 9)] == names
        assert len(cluster.asked) == 4

    def test_it_shows_no_pods(self, cluster: Cluster) -> None:
        cluster.world.run_pod("r1", "p", [], labels=RUN)
        assert list(through_argo(cluster).pods(RUN)) == []
