"""A document of some size, and an endless series of changes that keep it serving.

Pure: what is sent to the REST API is computed here, and who sends it is not our business.  The
same seed gives the same series.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Literal

Json = dict[str, Any]

MERGE_PATCH: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Change:
    """One write to the REST API."""

    method: Literal["PUT", "PATCH", "DELETE"]
    path: str
    body: Json | None = None

    @property
    def media(self) -> str:
        """The content type of the body."""
        return MERGE_PATCH if self.method == "PATCH" else "application/json"


class Estate:
    """The document as it stands after the changes given out so far.

    Pool ``pNN`` serves route ``rNN``, whose prefix is ``/rNN/``, and routes beyond the number of
    pools start over with the first.  Every pool has endpoints on some of the origins, never fewer
    than two, and every origin can serve every route, so that no change is a reason for a request
    to fail.  Splices of removed endpoints stay (``on_removal: keep``).
    """

    def __init__(
        self, origins: Sequence[str], *, routes: int = 50, pools: int = 20, seed: int = 1
    ) -> None:
        """``origins``: addresses, at least four."""
        self._origins: Final = {f"o{number}": address for number, address in enumerate(origins)}
        self._random: Final = random.Random(seed)
        self._serial = 0
        self._pools: Final[dict[str, Json]] = {
            f"p{number:02}": self._pool(3) for number in range(pools)
        }
        self._routes: Final[dict[str, Json]] = {
            f"r{number:02}": self._route(f"r{number:02}", f"p{number % pools:02}")
            for number in range(routes)
        }
        self._maps: Final[dict[str, Json]] = {"tier": self._map()}

    def document(self) -> Json:
        """Return the whole document as it stands."""
        document = {
            "version": 1,
            "listeners": {"public": {"bind": "127.0.0.1:0"}},
            "pools": self._pools,
            "header_maps": self._maps,
            "routes": self._routes,
        }
        return deepcopy(document)

    def changes(self) -> Iterator[Change]:
        """Give changes of every kind, shuffled anew each time all kinds have had their turn."""
        kinds: list[Callable[[], Change]] = [
            self._reweigh, self._add_endpoint, self._remove_endpoint, self._replace_pool,
            self._rewrite_route, self._patch_route, self._rewrite_map, self._patch_everything,
        ]  # fmt: skip
        while True:
            self._random.shuffle(kinds)
            for kind in kinds:
                self._serial += 1
                yield deepcopy(kind())

    # One change each, made here and described for the API

    def _reweigh(self) -> Change:
        pool, endpoint = self._an_endpoint()
        weight = self._reweighed(pool, endpoint)
        return Change("PATCH", f"/v1/pools/{pool}/endpoints/{endpoint}", {"weight": weight})

    def _add_endpoint(self) -> Change:
        pool, endpoints = self._a_pool(lambda size: size < len(self._origins))
        name = self._random.choice([one for one in self._origins if one not in endpoints])
        endpoints[name] = self._endpoint(name)
        return Change("PUT", f"/v1/pools/{pool}/endpoints/{name}", endpoints[name])

    def _remove_endpoint(self) -> Change:
        pool, endpoints = self._a_pool(lambda size: size > 2)
        name = self._random.choice(list(endpoints))
        del endpoints[name]
        return Change("DELETE", f"/v1/pools/{pool}/endpoints/{name}")

    def _replace_pool(self) -> Change:
        name = self._random.choice(list(self._pools))
        self._pools[name] = self._pool(3)
        return Change("PUT", f"/v1/pools/{name}", self._pools[name])

    def _rewrite_route(self) -> Change:
        name = self._random.choice(list(self._routes))
        self._routes[name] = self._route(name, self._random.choice(list(self._pools)))
        return Change("PUT", f"/v1/routes/{name}", self._routes[name])

    def _patch_route(self) -> Change:
        name = self._random.choice(list(self._routes))
        patch = {"response_headers": {"set": {"X-Serial": str(self._serial)}}}
        self._routes[name] |= patch
        return Change("PATCH", f"/v1/routes/{name}", patch)

    def _rewrite_map(self) -> Change:
        self._maps["tier"] = self._map()
        return Change("PUT", "/v1/header_maps/tier", self._maps["tier"])

    def _patch_everything(self) -> Change:
        """Touch two pools, a route and the map at once."""
        patch: Json = {"pools": {}}
        for _ in range(2):
            pool, endpoint = self._an_endpoint()
            weight = {"weight": self._reweighed(pool, endpoint)}
            patch["pools"].setdefault(pool, {"endpoints": {}})["endpoints"][endpoint] = weight
        route = self._random.choice(list(self._routes))
        pool = self._routes[route]["pool"] = self._random.choice(list(self._pools))
        patch["routes"] = {route: {"pool": pool}}
        default = self._maps["tier"]["default"] = f"free-{self._serial}"
        patch["header_maps"] = {"tier": {"default": default}}
        return Change("PATCH", "/v1/config", patch)

    # Parts of the document

    def _pool(self, size: int) -> Json:
        names = self._random.sample(sorted(self._origins), size)
        return {
            "balance": self._random.choice(["round_robin", "least_connections", "random"]),
            "endpoints": {name: self._endpoint(name) for name in names},
            "keepalive": {"max_idle": 64},
            "on_removal": "keep",
        }

    def _endpoint(self, name: str) -> Json:
        return {"address": self._origins[name], "weight": self._random.randint(1, 10)}

    def _route(self, name: str, pool: str) -> Json:
        return {
            "path": {"prefix": f"/{name}/"},
            "pool": pool,
            "request_headers": {"set": {"X-Tier": "$tier"}},
            "response_headers": {"set": {"X-Serial": str(self._serial)}},
        }

    def _map(self) -> Json:
        return {
            "source": "$http_x_plan",
            "default": f"free-{self._serial}",
            "exact": {"gold": "paid"},
        }

    # Choices

    def _a_pool(self, fits: Callable[[int], bool]) -> tuple[str, Json]:
        """Choose a pool by the number of its endpoints; return its name and the endpoints."""
        fitting = [name for name, one in self._pools.items() if fits(len(one["endpoints"]))]
        name = self._random.choice(fitting)
        endpoints: Json = self._pools[name]["endpoints"]
        return name, endpoints

    def _an_endpoint(self) -> tuple[str, str]:
        pool, endpoints = self._a_pool(bool)
        return pool, self._random.choice(list(endpoints))

    def _reweighed(self, pool: str, endpoint: str) -> int:
        """Give an endpoint another weight than it has."""
        written = self._pools[pool]["endpoints"][endpoint]
        weight: int = written["weight"] % 10 + 1
        written["weight"] = weight
        return weight
