import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const SERVER = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  server: {
    // The server refuses foreign origins; the proxy speaks to it under its own name.
    proxy: { "/api": { target: SERVER, changeOrigin: true, headers: { Origin: SERVER } } },
  },
  build: { outDir: "dist", emptyOutDir: true, sourcemap: false },
});
