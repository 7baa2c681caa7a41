const endpoint0 = "https://tracking.example.org/v1/";
const socket = "wss:\/\/ws.example.org\/";
fetch(endpoint0);
