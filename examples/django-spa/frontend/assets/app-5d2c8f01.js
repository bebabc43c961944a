// SPDX-License-Identifier: Apache-2.0
document.getElementById("path").textContent = location.pathname;
const answer = await fetch("/api/users/?page=1");
document.getElementById("backend").textContent = JSON.stringify(await answer.json());
